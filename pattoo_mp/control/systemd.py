"""Notifications to systemd: readiness, a status line, the watchdog, reload and stop.

The protocol is sd_notify(3): datagrams of lines, sent to the socket named by NOTIFY_SOCKET.
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
#: After this time the agent counts as ready even if no poll could be stored (a full disk): at
#: TimeoutStartSec (90 s by default) systemd would kill it, and the polls in memory would be lost.
_READY_BY_S: Final = 30.0
#: Without a watchdog: the time between updates of the line in `systemctl status`.
_STATUS_S: Final = 30.0
_RETRY_S: Final = 1.0
#: More than a terminal shows in `systemctl status`, and far less than a datagram holds.
_LINE_CHARACTERS: Final = 1000


class Notifier:
    """Notifies systemd from control's loop. Without an address it does nothing.

    `watchdog_s` is systemd's WatchdogSec; we notify twice in that time (sd_watchdog_enabled(3)).
    After `ready_by_s` the agent counts as ready if it polls, even if no poll could be stored.
    """

    def __init__(
        self, address: str = "", watchdog_s: float = _NEVER, *, ready_by_s: float = _READY_BY_S
    ) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._has_watchdog = watchdog_s != _NEVER
        self._every_s = watchdog_s / 2 if self._has_watchdog else _STATUS_S
        self._due_at = time.monotonic() + ready_by_s
        self._is_ready = False
        self._sent_ready = False
        self._is_reloading = False
        self._is_stopping = False
        self._failed = False

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> Notifier:
        """Return the notifier that systemd requests for process `pid` in its environment."""
        usec = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        watchdog_s = int(usec) / 1e6 if is_ours and usec.isdecimal() and int(usec) else _NEVER
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    @property
    def wake_at(self) -> float:
        """When the loop must run for systemd, on the monotonic clock; infinity if it need not."""
        is_awaited = self._has_watchdog or not self._sent_ready
        return self._due_at if self._is_active and is_awaited else _NEVER

    def ready(self) -> None:
        """Report readiness at the next beat: a poll is in the spool."""
        self._is_ready = True
        self._due_at = 0.0

    def reloading(self) -> None:
        """Report that a reload has begun."""
        if not self._sent_ready:
            return  # systemd is waiting for READY anyway: for the start, or an earlier reload
        self._sent_ready = False
        self._is_reloading = True
        # The time keeps Type=notify-reload from taking an earlier READY for the answer.
        self._send(["RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"])

    def reloaded(self) -> None:
        """Report at the next beat that a reload, if any was under way, has finished."""
        if self._is_reloading:
            self._is_reloading = False
            self._due_at = 0.0

    def beat(self, status: Callable[[], dict[str, Any]]) -> None:
        """Send what is due. The loop calls this in each turn, so a hanging loop sends nothing."""
        now = time.monotonic()
        if not self._is_active or now < self._due_at:
            return
        current = status()
        lines = [f"STATUS={status_line(current)}"]
        if self._must_report_ready(current):
            lines.append("READY=1")
        if self._has_watchdog:
            lines.append("WATCHDOG=1")
        is_sent = self._send(lines)
        self._sent_ready |= is_sent and "READY=1" in lines
        self._due_at = now + (self._every_s if is_sent else _RETRY_S)

    @property
    def _is_active(self) -> bool:
        return bool(self._address) and not self._is_stopping

    def _must_report_ready(self, status: dict[str, Any]) -> bool:
        if self._sent_ready or self._is_reloading:
            return False
        return bool(self._is_ready or status["polls"]["since_start"])

    def stopping(self) -> None:
        """Report that the stop has begun. It is bounded in time; no more beats are sent."""
        self._is_stopping = True
        self._send(["STOPPING=1", "STATUS=Stopping: saving the polls first."])

    def _send(self, lines: list[str]) -> bool:
        if not self._address:
            return True
        try:
            # Non-blocking: losing a line is better than waiting for systemd.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                # The name of a mount may not be UTF-8; that must not raise.
                sender.sendto("\n".join(lines).encode(errors="backslashreplace"), self._address)
        except OSError as error:
            if not self._failed:
                _LOG.warning("Cannot notify systemd at %r: %s.", self._address, error)
            self._failed = True
            return False
        self._failed = False
        return True


def status_line(status: dict[str, Any]) -> str:
    """Return one line for `systemctl status` from the status document."""
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
    return " ".join("; ".join(parts).split())[:_LINE_CHARACTERS]
