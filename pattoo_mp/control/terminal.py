"""The terminal that a person ran `--foreground` in: the agent ends with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Set by supervisord and systemd for their processes: these outlive a terminal.
_SUPERVISED: Final = ("SUPERVISOR_ENABLED", "NOTIFY_SOCKET")
_STDIN: Final = 0


def leave_terminals_group() -> None:
    """Lead a process group of our own, which `--stop --force` can kill.

    Not if our group is the one that the terminal sends Ctrl-C to (below `sh -c` or `runuser`): we would
    no longer receive it.
    """
    if _foreground_group() != os.getpgrp():
        with suppress(PermissionError):  # a session leader already leads a group
            os.setpgid(0, 0)


def terminal_check(environment: Mapping[str, str]) -> Callable[[], bool] | None:
    """Return what says whether the terminal is gone that this process has to end with.

    None if it has no terminal, or need not end with it: it has a supervisor, or was run by `nohup`.
    """
    is_supervised = any(environment.get(name) for name in _SUPERVISED)
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    if is_supervised or is_nohup:
        return None
    if has_controlling_terminal():
        return lambda: not has_controlling_terminal()
    # `setsid` and `runuser -c` leave us without one. A terminal that was hung up is none any more.
    return (lambda: not os.isatty(_STDIN)) if os.isatty(_STDIN) else None


def has_controlling_terminal() -> bool:
    """Whether this process has a controlling terminal that still exists (tty(4))."""
    return _foreground_group() is not None


def _foreground_group() -> int | None:
    """The foreground process group of our controlling terminal; None without a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return None
    finally:
        os.close(terminal)
