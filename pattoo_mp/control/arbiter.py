"""The control process: starts the workers, watches them, restarts them, stops them in order.

One thread and one loop. Signals only wake the loop. Nothing in it blocks, so control is never
what a poll waits for; and since it has no threads, a fork of it is safe at any time.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import log
from pattoo_mp.control.notify import Notifier
from pattoo_mp.control.silence import SILENCE_S, Silence
from pattoo_mp.control.status import snapshot
from pattoo_mp.control.worker import Worker
from pattoo_mp.errors import PattooError, StartError
from pattoo_mp.link import LinkClosedError
from pattoo_mp.plural import counted
from pattoo_mp.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pattoo_mp.control.door import Door
    from pattoo_mp.control.live import LiveConfig
    from pattoo_mp.control.relay import Relay
    from pattoo_mp.control.worker import Role

_LOG = logging.getLogger(__name__)

#: A stop takes no longer, whatever hangs. supervisord's stopwaitsecs must be above it.
STOP_S: Final = 10.0
_KILL_S: Final = 1.0
_KEEP_S: Final = 5.0
#: How long a first poll waits for the account of those before; a spool may be slow to open.
_HISTORY_S: Final = 2.0
_NEVER: Final = float("inf")
_STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_RELOADING: Final = signal.SIGHUP


class Arbiter:
    """Runs the two workers until a signal asks for the end.

    `on_ready` is called once: when the first poll is safe in the spool. `keep_lock` sees to it that
    the lock can still be found; it is called now and then, when there is something to do anyway. A worker that is silent for
    `silence_s` where it should have spoken is killed, and replaced. `notifier` tells systemd.
    """

    def __init__(
        self,
        collector: Role,
        uploader: Role,
        relay: Relay,
        door: Door,
        on_ready: Callable[[], None],
        *,
        live: LiveConfig,
        keep_lock: Callable[[], None] = lambda: None,
        notifier: Notifier | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._collector = Worker(collector)
        self._uploader = Worker(uploader)
        self._workers = (self._collector, self._uploader)
        self._relay = relay
        self._door = door
        self._live = live
        self._on_ready = on_ready
        self._keep_lock = keep_lock
        self._notifier = notifier or Notifier()
        self._kept_at = 0.0
        self._silence = Silence(self._collector, self._uploader, relay, silence_s)
        self._ready = False
        self._stop_by: float | None = None
        self._gave_up = False
        self._started_ms = time.time_ns() // 1_000_000
        self._wakeup = Wakeup(
            (*_STOPPING, _RELOADING, signal.SIGCHLD),
            {**log.CHORES, signal.SIGUSR1: self._reopen_log},
        )
        # The uploader's first words say what the newest poll is that an earlier agent took.
        self._collector.start_at = time.monotonic() + _HISTORY_S

    def run(self) -> None:
        """Run until the workers have ended after a stop.

        Raises `StartError` if a worker says, before the first poll is safe, that no start can
        succeed.
        """
        try:
            while not self._finished():
                self._start_what_is_due()
                readable = self._wait()
                signals = self._wakeup.take() if self._wakeup in readable else set()
                self._act_on(signals)
                self._go_on_with_reading()
                for worker in self._workers:
                    if worker.link in readable:
                        self._listen(worker)
                    # The kernel tells of each end, and a link ends with its process.
                    if signal.SIGCHLD in signals or worker.link is None:
                        self._bury(worker)
                    self._replace_if_silent(worker)
                self._relay.lease_to(self._uploader)
                self._begin_polling()
                self._advance_stop()
                self._tell_ready()
                self._keep_places()
                self._notifier.beat(self._status)
                if log.rotate_if_due():
                    self._reopen_log()
        finally:
            self._end()

    def in_child(self) -> None:
        """Give up, in a fork, what belongs to control alone."""
        self._wakeup.close()
        self._door.close()
        self._live.in_child()
        for worker in self._workers:
            worker.close_link()

    # --- waiting

    def _wait(self) -> list[FileDescriptorLike]:
        """Wait until there is something to do; whom there is something to read from."""
        links = [worker.link for worker in self._workers if worker.link is not None]
        reading: list[FileDescriptorLike] = [self._wakeup, *links]
        if not self._door.rests:
            reading.append(self._door)
        if self._live.reader is not None:
            reading.append(self._live.reader)
        writing = [link for link in links if link.unsent_bytes]
        step = self._next_step_s()
        began = time.monotonic()
        readable, writable, _ = select.select(reading, writing, [], step)
        self._silence.forgive(0.0 if step is None else began + step)
        if self._door in readable:
            self._door.answer(self._status())
        for link in writable:
            # If nobody is there any more, that is noticed when it is listened to.
            with contextlib.suppress(LinkClosedError):
                link.flush()
        return readable

    def _next_step_s(self) -> float | None:
        now = time.monotonic()
        moments = [worker.start_at for worker in self._workers if self._is_wanted(worker)]
        moments += [self._silence.strange_at(worker) for worker in self._workers if worker.alive]
        moments += [self._notifier.wake_at, self._live.wake_at, self._door.wake_at]
        if self._stop_by is not None:
            moments.append(self._stop_by)
        first = min(moments)
        return None if first == _NEVER else max(0.0, first - now)

    # --- workers

    def _is_wanted(self, worker: Worker) -> bool:
        """Whether a worker that is not there should be."""
        if worker.alive:
            return False
        # An uploader lost in a stop left polls behind that only another one can keep.
        is_needed = worker is self._uploader and len(self._relay.channel) > 0
        return self._stop_by is None or (is_needed and not self._gave_up)

    def _start_what_is_due(self) -> None:
        for worker in self._workers:
            if self._is_wanted(worker) and time.monotonic() >= worker.start_at:
                if worker is self._collector:
                    now_ms = time.time_ns() // 1_000_000
                    self._relay.collector_started(self._live.config.groups, now_ms)
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        """Start it. A host that has no process left for it now may have one later."""
        try:
            worker.start(self.in_child)
        except OSError as error:
            worker.note_death(f"a start that failed ({error.strerror})")
            _LOG.error("The %s cannot be started: %s.", worker.role.name, error.strerror)
            return
        self._live.started(worker)
        self._silence.heard(worker)

    def _listen(self, worker: Worker) -> bool:
        """Take what a worker has said; whether it was anything."""
        if worker.link is None:
            return False
        try:
            messages = worker.link.receive()
        except LinkClosedError:
            # It ends, or has ended; SIGCHLD tells which. To listen on would be to spin.
            worker.close_link()
            return False
        if messages:
            self._silence.heard(worker)
        for message in messages:
            self._relay.handle(worker, message)
        return bool(messages)

    def _bury(self, worker: Worker) -> None:
        """Note the end of a process, after its last words."""
        how = worker.reap()
        if not how:
            return
        while self._listen(worker):
            pass
        worker.note_death(how)
        if worker is self._uploader:
            # One that was told of the end, and not killed, could not keep what it still had in hand;
            # nor could another. What was never given to it is for another to keep.
            in_hand = self._relay.closed and self._relay.channel.leased
            self._gave_up = bool(in_hand) and how.startswith("exit")
            self._relay.uploader_gone()
        if self._stop_by is None:
            _LOG.warning("The %s ended (%s).", worker.role.name, worker.last_death)
            if worker.fatal and not self._ready:
                raise StartError(worker.fatal)

    def _replace_if_silent(self, worker: Worker) -> None:
        if worker.alive and time.monotonic() >= self._silence.strange_at(worker):
            _LOG.error(
                "The %s (process %d) has said nothing for %d s; it is killed and replaced.",
                worker.role.name,
                worker.pid,
                self._silence.lasts_s(worker),
            )
            worker.signal(signal.SIGKILL)
            self._silence.heard(worker)

    # --- start and stop

    def _begin_polling(self) -> None:
        """Start the first collector as soon as the account of the polls before it is known."""
        if self._relay.ledger.account is not None and not self._collector.restarts:
            self._collector.start_at = 0.0

    def _tell_ready(self) -> None:
        if not self._ready and self._relay.any_kept:
            self._ready = True
            self._notifier.ready()
            self._on_ready()

    def _status(self) -> dict[str, Any]:
        return snapshot(self._started_ms, self._workers, self._relay, self._live)

    def _keep_places(self) -> None:
        """See to it that --status and --stop find this process, whatever was removed meanwhile."""
        if time.monotonic() < self._kept_at + _KEEP_S:
            return
        self._kept_at = time.monotonic()
        try:
            self._keep_lock()
            self._door.keep()
        except (OSError, PattooError) as error:
            _LOG.error("%s", error)

    def _reopen_log(self) -> None:
        """Open the log anew, and let the workers do so: an idle one would keep the old file."""
        log.reopen()
        for worker in self._workers:
            worker.signal(signal.SIGUSR1)

    def _act_on(self, signals: set[signal.Signals]) -> None:
        if self._stop_by is not None:
            return
        if signals & _STOPPING:
            self._begin_stop(signals & _STOPPING)
        elif _RELOADING in signals:
            self._notifier.reloading()
            self._live.reload()

    def _go_on_with_reading(self) -> None:
        self._live.go_on(self._workers)
        if self._live.reader is None:
            self._notifier.reloaded()

    def _begin_stop(self, asked: set[signal.Signals]) -> None:
        _LOG.info("Stopping: %s.", ", ".join(sorted(number.name for number in asked)))
        self._stop_by = time.monotonic() + STOP_S
        self._notifier.stopping()
        self._live.leave()
        self._collector.signal(signal.SIGTERM)
        for worker in self._workers:
            worker.signal(signal.SIGCONT)  # one that is stopped could not end

    def _advance_stop(self) -> None:
        """Stop the collector first; then, with all that it polled, the uploader."""
        asked = self._relay.leaving if self._stop_by is None else not self._collector.alive
        if asked:
            self._relay.close_to(self._uploader)

    def _finished(self) -> bool:
        if self._stop_by is None:
            return False
        if time.monotonic() >= self._stop_by:
            late = " and ".join(worker.role.name for worker in self._workers if worker.alive)
            _LOG.error("The %s did not end within %g s of a stop; it is killed.", late, STOP_S)
            return True
        return not any(worker.alive or self._is_wanted(worker) for worker in self._workers)

    def _end(self) -> None:
        for worker in self._workers:
            worker.kill(_KILL_S)
            worker.close_link()
        left = len(self._relay.channel)
        if left:
            _LOG.error("%s lost from memory: the spool took nothing.", counted(left, "poll"))
        self._door.close()
        self._wakeup.close()
