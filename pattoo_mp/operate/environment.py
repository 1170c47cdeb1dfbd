"""The environment of a process that we start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYSTEMDS: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


def without_managers(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is neither supervisord's nor systemd's, whoever started us."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _SYSTEMDS and not name.startswith("SUPERVISOR_")
    }
