"""What control tells systemd: that polls flow, how it stands, that its loop turns, that it ends.

The protocol is that of sd_notify(3): a datagram of lines to the socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG = logging.getLogger(__name__)

_NEVER: Final = float("inf")
#: Polls that cannot be kept yet (a full disk) flow too, after a while: systemd would kill the agent at
#: TimeoutStartSec (90 s by default), and with it what waits in memory.
_READY_BY_S: Final = 30.0
#: How old what `systemctl status` shows may be, where no watchdog asks for more.
_STATUS_S: Final = 30.0
_TRY_AGAIN_S: Final = 1.0
#: More than a terminal shows of `systemctl status`, and far less than a datagram holds.
_LINE: Final = 1000


class Notifier:
    """Tells systemd, from control's own loop. Without an address it has nothing to do.

    `watchdog_s` is systemd's WatchdogSec: it hears from us twice in that time (sd_watchdog_enabled(3)).
    Polls that flow without being kept are told as readiness after `ready_by_s`.
    """

    def __init__(
        self, address: str = "", watchdog_s: float = _NEVER, *, ready_by_s: float = _READY_BY_S
    ) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._has_watchdog = watchdog_s != _NEVER
        self._every_s = watchdog_s / 2 if self._has_watchdog else _STATUS_S
        self._due_at = time.monotonic() + ready_by_s
        self._is_ready = False
        self._told_ready = False
        self._is_reloading = False
        self._is_stopping = False
        self._failed = False

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> Notifier:
        """What systemd asked of the process `pid` by its environment."""
        usec = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        watchdog_s = int(usec) / 1e6 if is_ours and usec.isdecimal() and int(usec) else _NEVER
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    @property
    def wake_at(self) -> float:
        """When the loop must turn for systemd's sake, on the monotonic clock; maybe never."""
        is_awaited = self._has_watchdog or not self._told_ready
        return self._due_at if self._is_heard and is_awaited else _NEVER

    def ready(self) -> None:
        """Polls are kept: tell it at the next beat."""
        self._is_ready = True
        self._due_at = 0.0

    def reloading(self) -> None:
        """The configuration is being read anew."""
        if not self._told_ready:
            return  # it starts still, or reloads already, and is awaited anyway
        self._told_ready = False
        self._is_reloading = True
        # Without the time, Type=notify-reload could take an earlier READY for the answer.
        self._send(["RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"])

    def reloaded(self) -> None:
        """No configuration is being read: if one was, the next beat tells that this is done."""
        if self._is_reloading:
            self._is_reloading = False
            self._due_at = 0.0

    def beat(self, status: Callable[[], dict[str, Any]]) -> None:
        """Tell what is due. The loop calls this at each turn, so a loop that hangs is silent."""
        now = time.monotonic()
        if not self._is_heard or now < self._due_at:
            return
        said = status()
        lines = [f"STATUS={sentence(said)}"]
        if self._may_be_ready(said):
            lines.append("READY=1")
        if self._has_watchdog:
            lines.append("WATCHDOG=1")
        is_told = self._send(lines)
        self._told_ready |= is_told and "READY=1" in lines
        self._due_at = now + (self._every_s if is_told else _TRY_AGAIN_S)

    @property
    def _is_heard(self) -> bool:
        return bool(self._address) and not self._is_stopping

    def _may_be_ready(self, said: dict[str, Any]) -> bool:
        if self._told_ready or self._is_reloading:
            return False
        return bool(self._is_ready or said["polls"]["since_start"])

    def stopping(self) -> None:
        """The end has begun, and is bounded; from now on systemd listens to no beat."""
        self._is_stopping = True
        self._send(["STOPPING=1", "STATUS=Stopping: what was polled is kept first."])

    def _send(self, lines: list[str]) -> bool:
        if not self._address:
            return True
        try:
            # Never to wait for systemd is worth more than a line.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                # A mount's name need not be UTF-8, and is no reason to end.
                sender.sendto("\n".join(lines).encode(errors="backslashreplace"), self._address)
        except OSError as error:
            if not self._failed:
                _LOG.warning("systemd at %r cannot be told: %s.", self._address, error)
            self._failed = True
            return False
        self._failed = False
        return True


def sentence(status: dict[str, Any]) -> str:
    """One line for `systemctl status`, from the status as control answers it."""
    polls, posts = status["polls"], status["posts"]
    waiting = polls["in_channel"] + polls["in_spool"]
    parts = [f"{polls['since_start']} polled, one every {text.intervals(status['intervals_ms'])}"]
    parts.append(f"{waiting} waiting")
    dropped = sum(polls["dropped"].values())
    if dropped:
        parts.append(f"{dropped} dropped")
    if posts["failing_since_ms"]:
        parts.append(posts["last_error"])
    for name, worker in status["workers"].items():
        parts += [f"{name}: {what}: {why}" for what, why in worker["troubles"].items()]
        if not worker["pid"] and worker["last_death"]:
            parts.append(f"{name} ended by {worker['last_death']}")
    return " ".join("; ".join(parts).split())[:_LINE]
