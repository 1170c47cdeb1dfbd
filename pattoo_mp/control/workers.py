"""How long a worker has said nothing, and from when on that is strange."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.control.worker import Worker, ending
from pattoo_mp.errors import StartError
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.model import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from _typeshed import FileDescriptorLike

    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.reload import LiveConfig
    from pattoo_mp.control.worker import Role
    from pattoo_mp.ipc.link import Link

_LOG = logging.getLogger(__name__)

#: A worker that should have said something and has not for this long is replaced.
SILENCE_S: Final = 60.0
#: Control itself was stopped or starved: what it did not hear is not the workers' silence.
_OVERSLEPT_S: Final = 5.0
_NEVER: Final = float("inf")


class Liveness:
    """Notes when each of the two was heard last. Times are of the monotonic clock, in s."""

    def __init__(self, collector: Worker, uploader: Worker, broker: Broker, limit_s: float) -> None:
        self._collector = collector
        self._uploader = uploader
        self._broker = broker
        self._limit_s = limit_s
        self._heard = dict.fromkeys((collector, uploader), time.monotonic())

    def heard(self, worker: Worker) -> None:
        """Note that a worker has said something, or has just begun to be one."""
        self._heard[worker] = time.monotonic()

    def lasts_s(self, worker: Worker) -> float:
        """How long a worker has said nothing."""
        return time.monotonic() - self._heard[worker]

    def forgive(self, planned: float) -> None:
        """Begin to count anew where nothing could be said, or nothing could be heard.

        `planned` is when control meant to be awake again; 0 if it had no plan.
        """
        now = time.monotonic()
        if not len(self._broker.channel):
            self._heard[self._uploader] = now
        if planned and now - planned > _OVERSLEPT_S:
            self._heard = dict.fromkeys(self._heard, now)

    def strange_at(self, worker: Worker) -> float:
        """When the silence of a worker becomes strange; never if it has nothing to say."""
        heard = self._heard[worker]
        if worker is self._collector:
            return heard + self._broker.ledger.interval_ms / 1000 + self._limit_s
        return heard + self._limit_s if len(self._broker.channel) else _NEVER


# Collector and uploader, and their lives: started when due, heard, replaced when dead or silent.

#: How long a first poll waits for the account of those before; a spool may be slow to open.
_HISTORY_S: Final = 2.0


class Workers:
    """The two, which go by `live`; what they say is for `broker`.

    One that is silent for `silence_s` where it should have spoken is killed, and replaced. Once
    `are_stopping` none is started any more, but for what could be lost without it.
    """

    def __init__(
        self, collector: Role, uploader: Role, broker: Broker, live: LiveConfig, silence_s: float
    ) -> None:
        self.collector = Worker(collector)
        self.uploader = Worker(uploader)
        self.are_stopping = False
        self._broker = broker
        self._live = live
        self._liveness = Liveness(self.collector, self.uploader, broker, silence_s)
        self._gave_up = False
        # The uploader's first words say what the newest poll is that an earlier agent took.
        self.collector.start_at = time.monotonic() + _HISTORY_S

    def __iter__(self) -> Iterator[Worker]:
        """Each of the two."""
        return iter((self.collector, self.uploader))

    @property
    def links(self) -> list[Link]:
        """Those of them that there are."""
        return [worker.link for worker in self if worker.link is not None]

    @property
    def wake_at(self) -> float:
        """When one is to be started, or to be missed, on the monotonic clock; maybe never."""
        moments = [self._liveness.strange_at(worker) for worker in self if worker.alive]
        moments += [worker.start_at for worker in self if self._is_wanted(worker)]
        return min(moments, default=_NEVER)

    @property
    def any_left(self) -> bool:
        """Whether there is one, or should be."""
        return any(worker.alive or self._is_wanted(worker) for worker in self)

    @property
    def names_alive(self) -> list[str]:
        """Who runs."""
        return [worker.role.name for worker in self if worker.alive]

    def begin_polling(self) -> None:
        """Start the first collector as soon as the account of the polls before it is known."""
        if self._broker.ledger.account is not None and not self.collector.restarts:
            self.collector.start_at = 0.0

    def start_what_is_due(self, in_child: Callable[[], None]) -> None:
        """Start who should be there; `in_child` gives up what belongs to control alone."""
        for worker in self:
            if self._is_wanted(worker) and time.monotonic() >= worker.start_at:
                if worker is self.collector:
                    self._broker.collector_started(self._live.config.groups, now_ms())
                self._start(worker, in_child)

    def flush(self, writable: Collection[FileDescriptorLike]) -> None:
        """Send on what did not fit into a link."""
        for link in self.links:
            # If nobody is there any more, that is noticed when it is listened to.
            if link in writable:
                with contextlib.suppress(LinkClosedError):
                    link.flush()

    def listen(self, readable: Collection[FileDescriptorLike]) -> None:
        """Take what they have said."""
        for worker in self:
            if worker.link in readable:
                self._listen(worker)

    def replace(self, *, any_ended: bool) -> None:
        """See who has ended, and end who is silent: both are started anew when that is due.

        Raises `StartError` if one said, before the first poll is safe, that no start can succeed.
        """
        for worker in self:
            # The kernel tells of each end, and a link ends with its process.
            if any_ended or worker.link is None:
                self._bury(worker)
            self._end_if_silent(worker)

    def forgive_silence(self, planned: float) -> None:
        """As `Silence.forgive`."""
        self._liveness.forgive(planned)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to both."""
        for worker in self:
            worker.signal(number)

    def close_links(self) -> None:
        """Forget all links."""
        for worker in self:
            worker.close_link()

    def kill(self, wait_s: float) -> None:
        """End both at once; wait for each no longer than `wait_s`."""
        for worker in self:
            worker.kill(wait_s)
        self.close_links()

    def _is_wanted(self, worker: Worker) -> bool:
        """Whether a worker that is not there should be."""
        if worker.alive:
            return False
        # An uploader lost in a stop left polls behind that only another one can keep.
        is_needed = worker is self.uploader and len(self._broker.channel) > 0
        return not self.are_stopping or (is_needed and not self._gave_up)

    def _start(self, worker: Worker, in_child: Callable[[], None]) -> None:
        """Start it. A host that has no process left for it now may have one later."""
        try:
            worker.start(in_child)
        except OSError as error:
            worker.note_death(f"a start that failed ({error.strerror})")
            _LOG.error("The %s cannot be started: %s.", worker.role.name, error.strerror)
            return
        self._live.started(worker)
        self._liveness.heard(worker)

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
            self._liveness.heard(worker)
        for message in messages:
            self._broker.handle(worker, message)
        return bool(messages)

    def _bury(self, worker: Worker) -> None:
        """Note the end of a process, after its last words."""
        code = worker.reap()
        if code is None:
            return
        while self._listen(worker):
            pass
        worker.note_death(ending(code))
        if worker is self.uploader:
            # One that was told of the end, and not killed, could not keep what it still had in hand;
            # nor could another. What was never given to it is for another to keep.
            in_hand = self._broker.closed and self._broker.channel.leased
            self._gave_up = bool(in_hand) and code >= 0
            self._broker.uploader_gone()
        if not self.are_stopping:
            _LOG.warning("The %s ended (%s).", worker.role.name, worker.last_death)
            if worker.fatal and not self._broker.any_kept:
                raise StartError(worker.fatal)

    def _end_if_silent(self, worker: Worker) -> None:
        if worker.alive and time.monotonic() >= self._liveness.strange_at(worker):
            _LOG.error(
                "The %s (process %d) has said nothing for %d s; it is killed and replaced.",
                worker.role.name,
                worker.pid,
                self._liveness.lasts_s(worker),
            )
            worker.signal(signal.SIGKILL)
            self._liveness.heard(worker)
