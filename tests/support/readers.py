"""Fake readers of the configuration, without a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.control.reload import Renewal


@dataclass
class FakeReader:
    """A reader whose result is `found`; None means that it is still reading."""

    found: Renewal | None
    problems: Sequence[str] = ()
    due_at: float = float("inf")
    is_over: bool = False

    def fileno(self) -> int:
        """There is no descriptor to wait for."""
        raise NotImplementedError

    def take(self) -> Renewal | None:
        """Return the result."""
        if self.problems:
            raise ConfigError(self.problems)
        return self.found

    def end(self, wait_s: float) -> None:
        """Record the call."""
        assert wait_s <= 1
        self.is_over = True

    def has_ended(self) -> bool:
        """Whether `end` was called."""
        return self.is_over

    def let_go(self) -> None:
        """Do nothing."""
