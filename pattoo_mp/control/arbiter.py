"""The main loop of the control process: starts, watches, restarts and stops the workers.

There is one thread and one loop. Signals only wake the loop. Nothing in it blocks, so no poll ever
waits for control. Without other threads, control can fork safely at any time.
"""

from __future__ import annotations

import logging
import select
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import log
from pattoo_mp.control.status import snapshot
from pattoo_mp.control.systemd import Notifier
from pattoo_mp.control.workers import REAP_IN_STOP_S, UNRESPONSIVE_S, Workers
from pattoo_mp.errors import PattooError, where_and_why
from pattoo_mp.ipc.messages import COLLECTOR_STOP_S, STOP_S
from pattoo_mp.model import now_ms
from pattoo_mp.util.signals import Wakeup
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.reload import LiveConfig
    from pattoo_mp.control.status_socket import StatusSocket
    from pattoo_mp.control.worker import Role

_LOG = logging.getLogger(__name__)

_KILL_S: Final = 1.0
#: How long the collector may take to end in a stop: it polls what is due, and sends it. One that cannot be
#: killed takes a second more.
_COLLECTOR_S: Final = COLLECTOR_STOP_S - REAP_IN_STOP_S
#: How often the lock, the status socket and a terminal are checked.
_ENSURE_S: Final = 5.0
_NEVER: Final = float("inf")
_STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_RELOADING: Final = signal.SIGHUP
_TERMINAL_GONE: Final = "the terminal that it was started in is gone"


class Arbiter:
    """Runs the two workers until a signal stops it.

    `on_ready` is called once, when the first poll is safe in the spool. `ensure_lock` recreates the
    lock file if it was removed; it is called every few seconds, while the loop runs anyway.
    `unresponsive_s` is as for `Workers`. `notifier` notifies systemd. `has_lost_terminal` says whether the
    terminal that the agent has to end with is gone; None if there is no such terminal.
    """

    def __init__(
        self,
        collector: Role,
        uploader: Role,
        broker: Broker,
        status_socket: StatusSocket,
        on_ready: Callable[[], None],
        *,
        live: LiveConfig,
        ensure_lock: Callable[[], None] = lambda: None,
        notifier: Notifier | None = None,
        unresponsive_s: float = UNRESPONSIVE_S,
        has_lost_terminal: Callable[[], bool] | None = None,
    ) -> None:
        self._workers = Workers(collector, uploader, broker, live, unresponsive_s)
        self._broker = broker
        self._status_socket = status_socket
        self._live = live
        self._on_ready = on_ready
        self._ensure_lock = ensure_lock
        self._notifier = notifier or Notifier()
        self._has_lost_terminal = has_lost_terminal
        self._ensured_at = 0.0
        self._ready = False
        self._stop_by = self._collector_by = _NEVER
        self._started_ms = now_ms()
        self._wakeup = Wakeup(
            (*_STOPPING, _RELOADING, signal.SIGCHLD),
            {**log.SIGNAL_ACTIONS, signal.SIGUSR1: self._reopen_log},
        )

    def run(self) -> None:
        """Run until a signal stops the agent and the workers have exited.

        Raises `StartError` if a worker reports, before the first poll is safe, that a restart cannot
        help.
        """
        try:
            while not self._finished():
                self._workers.start_due(self._close_in_child)
                readable = self._wait()
                # Take the signals only now. A signal to the whole group has reached us before a worker
                # could exit from it, even if something else ended the wait.
                is_signalled = self._wakeup in readable or self._wakeup.has_signals
                signals = self._wakeup.take() if is_signalled else set()
                self._act_on(signals)
                self._advance_reload()
                self._workers.replace(any_ended=signal.SIGCHLD in signals)
                self._broker.lease_to(self._workers.uploader)
                self._broker.confirm_to(self._workers.collector)
                self._workers.rest()
                self._workers.begin_polling()
                self._advance_stop()
                self._report_ready()
                self._ensure_reachable()
                self._notifier.beat(self._status)
                if log.rotate_if_due():
                    self._reopen_log()
        finally:
            self._end()

    def _close_in_child(self) -> None:
        """Close in a fork what only control may use."""
        self._wakeup.close()
        self._status_socket.close()
        self._live.close_in_child()
        self._workers.close_links()

    # --- wait

    def _wait(self) -> list[FileDescriptorLike]:
        """Wait until there is something to do, and hear the workers. Return what could be read."""
        reading: list[FileDescriptorLike] = [self._wakeup, *self._workers.links_to_wait_for]
        if not self._status_socket.is_paused:
            reading.append(self._status_socket)
        if self._live.reader is not None:
            reading.append(self._live.reader)
        writing: list[FileDescriptorLike] = [
            link for link in self._workers.links if link.unsent_bytes
        ]
        writing += self._status_socket.callers
        timeout_s = self._timeout_s()
        began = time.monotonic()
        readable, writable, _ = select.select(reading, writing, [], timeout_s)
        self._workers.reset_timers(0.0 if timeout_s is None else began + timeout_s)
        self._workers.listen()  # before the answer: no status is older than the question
        if self._status_socket in readable:
            self._status_socket.answer(self._status(every_spoke=True))
        self._status_socket.flush(writable)
        self._workers.flush(writable)
        return readable

    def _timeout_s(self) -> float | None:
        first = min(
            self._workers.wake_at,
            self._notifier.wake_at,
            self._live.wake_at,
            self._status_socket.wake_at,
            self._stop_by,
            self._collector_by,
            # A terminal may go without a signal to us. Only an agent in a terminal wakes up to look.
            self._ensured_at + _ENSURE_S if self._has_lost_terminal else _NEVER,
        )
        return None if first == _NEVER else max(0.0, first - time.monotonic())

    # --- status, readiness, reload, files

    def _status(self, *, every_spoke: bool = False) -> dict[str, Any]:
        return snapshot(
            self._started_ms, self._workers, self._broker, self._live, every_spoke=every_spoke
        )

    def _report_ready(self) -> None:
        if not self._ready and self._broker.is_ready:
            self._ready = True
            self._notifier.ready()
            self._on_ready()

    def _advance_reload(self) -> None:
        self._live.advance(self._workers)
        if self._live.reader is None:
            self._notifier.reloaded()

    def _ensure_reachable(self) -> None:
        """Recreate the files by which --status and --stop find this process, if they were removed."""
        if time.monotonic() < self._ensured_at + _ENSURE_S:
            return
        self._ensured_at = time.monotonic()
        if not self._workers.are_stopping and self._is_terminal_gone:
            self._begin_stop(_TERMINAL_GONE)
        for ensure in (self._ensure_lock, self._status_socket.ensure_in_place):
            try:
                ensure()
            except PattooError as error:
                _LOG.error("%s", error)
            except OSError as error:
                _LOG.error(
                    "%s; expected a directory that the agent can write to", where_and_why(error)
                )

    def _reopen_log(self) -> None:
        """Reopen the log, and have the workers do so: an idle one would keep the old file open."""
        log.reopen()
        self._workers.signal(signal.SIGUSR1)

    # --- signals and stop

    def _act_on(self, signals: set[signal.Signals]) -> None:
        if self._workers.are_stopping:
            return
        if signals & _STOPPING:
            self._begin_stop(", ".join(sorted(number.name for number in signals & _STOPPING)))
        elif _RELOADING in signals and self._is_terminal_gone:
            self._begin_stop(_TERMINAL_GONE)
        elif _RELOADING in signals:
            self._notifier.reloading()
            self._live.reload()

    @property
    def _is_terminal_gone(self) -> bool:
        return self._has_lost_terminal is not None and self._has_lost_terminal()

    def _begin_stop(self, why: str) -> None:
        _LOG.info("Stopping: %s.", why)
        self._stop_by = time.monotonic() + STOP_S
        self._collector_by = time.monotonic() + _COLLECTOR_S
        self._notifier.stopping()
        self._live.cancel()
        self._workers.begin_stop()

    def _advance_stop(self) -> None:
        """Stop the collector first; then the uploader, once it has been given all polls."""
        if self._workers.are_stopping:
            if time.monotonic() >= self._collector_by:
                self._collector_by = _NEVER
                self._workers.kill_late_collector()
            may_close = not self._workers.collector.alive
        else:
            may_close = self._broker.leaving
        if may_close:
            self._broker.close_to(self._workers.uploader)

    def _finished(self) -> bool:
        if not self._workers.are_stopping:
            return False
        if time.monotonic() >= self._stop_by:
            for name in self._workers.names_alive:
                _LOG.error("The %s did not exit within %g s of a stop; killing it.", name, STOP_S)
            return True
        return not self._workers.any_left

    def _end(self) -> None:
        self._workers.kill(_KILL_S)
        self._broker.finish()
        left = len(self._broker.channel)
        if left:
            _LOG.error("%s lost from memory: the spool accepted no writes.", counted(left, "poll"))
        self._status_socket.close()
        self._wakeup.close()
