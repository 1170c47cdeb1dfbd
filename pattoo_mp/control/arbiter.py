"""The control process: starts the workers, watches them, restarts them, stops them in order.

One thread and one loop. Signals only wake the loop. Nothing in it blocks, so control is never
what a poll waits for; and since it has no threads, a fork of it is safe at any time.
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
from pattoo_mp.control.workers import SILENCE_S, Workers
from pattoo_mp.errors import PattooError, where_and_why
from pattoo_mp.ipc.messages import STOP_S
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
_KEEP_S: Final = 5.0
_NEVER: Final = float("inf")
_STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_RELOADING: Final = signal.SIGHUP


class Arbiter:
    """Runs the two workers until a signal asks for the end.

    `on_ready` is called once: when the first poll is safe in the spool. `keep_lock` sees to it that
    the lock can still be found; it is called now and then, when there is something to do anyway.
    `silence_s` is as for `Workers`. `notifier` tells systemd.
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
        keep_lock: Callable[[], None] = lambda: None,
        notifier: Notifier | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._workers = Workers(collector, uploader, broker, live, silence_s)
        self._broker = broker
        self._status_socket = status_socket
        self._live = live
        self._on_ready = on_ready
        self._keep_lock = keep_lock
        self._notifier = notifier or Notifier()
        self._kept_at = 0.0
        self._ready = False
        self._stop_by = _NEVER
        self._started_ms = now_ms()
        self._wakeup = Wakeup(
            (*_STOPPING, _RELOADING, signal.SIGCHLD),
            {**log.CHORES, signal.SIGUSR1: self._reopen_log},
        )

    def run(self) -> None:
        """Run until the workers have ended after a stop.

        Raises `StartError` if a worker says, before the first poll is safe, that no start can
        succeed.
        """
        try:
            while not self._finished():
                self._workers.start_what_is_due(self._in_child)
                readable = self._wait()
                self._workers.listen(readable)
                # After that: who signals a whole group has signalled us before a worker could end by
                # it, whether that was what ended the wait or not.
                is_called = self._wakeup in readable or self._wakeup.has_signals
                signals = self._wakeup.take() if is_called else set()
                self._act_on(signals)
                self._go_on_with_reading()
                self._workers.replace(any_ended=signal.SIGCHLD in signals)
                self._broker.lease_to(self._workers.uploader)
                self._workers.begin_polling()
                self._advance_stop()
                self._tell_ready()
                self._keep_places()
                self._notifier.beat(self._status)
                if log.rotate_if_due():
                    self._reopen_log()
        finally:
            self._end()

    def _in_child(self) -> None:
        """Give up, in a fork, what belongs to control alone."""
        self._wakeup.close()
        self._status_socket.close()
        self._live.in_child()
        self._workers.close_links()

    # --- waiting

    def _wait(self) -> list[FileDescriptorLike]:
        """Wait until there is something to do; whom there is something to read from."""
        links = self._workers.links
        reading: list[FileDescriptorLike] = [self._wakeup, *links]
        if not self._status_socket.rests:
            reading.append(self._status_socket)
        if self._live.reader is not None:
            reading.append(self._live.reader)
        writing = [link for link in links if link.unsent_bytes]
        step = self._next_step_s()
        began = time.monotonic()
        readable, writable, _ = select.select(reading, writing, [], step)
        self._workers.forgive_silence(0.0 if step is None else began + step)
        if self._status_socket in readable:
            self._status_socket.answer(self._status())
        self._workers.flush(writable)
        return readable

    def _next_step_s(self) -> float | None:
        first = min(
            self._workers.wake_at,
            self._notifier.wake_at,
            self._live.wake_at,
            self._status_socket.wake_at,
            self._stop_by,
        )
        return None if first == _NEVER else max(0.0, first - time.monotonic())

    # --- what it does beside

    def _status(self) -> dict[str, Any]:
        return snapshot(self._started_ms, self._workers, self._broker, self._live)

    def _tell_ready(self) -> None:
        if not self._ready and self._broker.any_kept:
            self._ready = True
            self._notifier.ready()
            self._on_ready()

    def _go_on_with_reading(self) -> None:
        self._live.go_on(self._workers)
        if self._live.reader is None:
            self._notifier.reloaded()

    def _keep_places(self) -> None:
        """See to it that --status and --stop find this process, whatever was removed meanwhile."""
        if time.monotonic() < self._kept_at + _KEEP_S:
            return
        self._kept_at = time.monotonic()
        for keep in (self._keep_lock, self._status_socket.keep):
            try:
                keep()
            except PattooError as error:
                _LOG.error("%s", error)
            except OSError as error:
                _LOG.error("%s; expected a place that the agent may use", where_and_why(error))

    def _reopen_log(self) -> None:
        """Open the log anew, and let the workers do so: an idle one would keep the old file."""
        log.reopen()
        self._workers.signal(signal.SIGUSR1)

    # --- signals, and the stop

    def _act_on(self, signals: set[signal.Signals]) -> None:
        if self._workers.are_stopping:
            return
        if signals & _STOPPING:
            self._begin_stop(signals & _STOPPING)
        elif _RELOADING in signals:
            self._notifier.reloading()
            self._live.reload()

    def _begin_stop(self, asked: set[signal.Signals]) -> None:
        _LOG.info("Stopping: %s.", ", ".join(sorted(number.name for number in asked)))
        self._stop_by = time.monotonic() + STOP_S
        self._workers.are_stopping = True
        self._notifier.stopping()
        self._live.leave()
        self._workers.collector.signal(signal.SIGTERM)
        self._workers.signal(signal.SIGCONT)  # one that is stopped could not end

    def _advance_stop(self) -> None:
        """Stop the collector first; then, with all that it polled, the uploader."""
        if self._workers.are_stopping:
            asked = not self._workers.collector.alive
        else:
            asked = self._broker.leaving
        if asked:
            self._broker.close_to(self._workers.uploader)

    def _finished(self) -> bool:
        if not self._workers.are_stopping:
            return False
        if time.monotonic() >= self._stop_by:
            for name in self._workers.names_alive:
                _LOG.error("The %s did not end within %g s of a stop; it is killed.", name, STOP_S)
            return True
        return not self._workers.any_left

    def _end(self) -> None:
        self._workers.kill(_KILL_S)
        left = len(self._broker.channel)
        if left:
            _LOG.error("%s lost from memory: the spool took nothing.", counted(left, "poll"))
        self._status_socket.close()
        self._wakeup.close()
