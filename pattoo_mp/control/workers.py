"""The two workers of control: started when due, heard, and replaced when dead or unresponsive."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.control.hangs import Hangs
from pattoo_mp.control.ledger import COLLECTOR_HUNG
from pattoo_mp.control.listening import Liveness, Rest
from pattoo_mp.control.worker import Worker, exit_description
from pattoo_mp.errors import StartError
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import now_ms
from pattoo_mp.util.process import is_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from _typeshed import FileDescriptorLike

    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.reload import LiveConfig
    from pattoo_mp.control.worker import Role
    from pattoo_mp.ipc.link import Link

_LOG = logging.getLogger(__name__)

#: A worker that should have sent something, and has not for this long, is replaced.
UNRESPONSIVE_S: Final = 60.0
#: How long a process may take to end once it was killed or has closed its link; less during a stop.
_REAP_S: Final = 5.0
REAP_IN_STOP_S: Final = 1.0
#: How often the ticks are counted that are missed while no collector can be started.
_COUNT_S: Final = 60.0
_NEVER: Final = float("inf")
#: How long the first poll waits for the account of earlier polls; a spool may be slow to open.
_HISTORY_S: Final = 2.0


class Workers:
    """The collector and the uploader. They start with the settings of `live`.

    `broker` handles their messages. A worker that sends nothing for `unresponsive_s` although it
    should is killed and replaced. One that cannot be killed is left behind, and if its role allows it
    another one is started beside it. Once `are_stopping` is set, none is started any more, except an
    uploader without which polls would be lost.
    """

    def __init__(
        self,
        collector: Role,
        uploader: Role,
        broker: Broker,
        live: LiveConfig,
        unresponsive_s: float,
    ) -> None:
        self.collector = Worker(collector)
        self.uploader = Worker(uploader)
        self.are_stopping = False
        self._broker = broker
        self._live = live
        self._liveness = Liveness(self.collector, self.uploader, broker, unresponsive_s)
        self._rest = Rest(self.collector, broker)
        self._gave_up = False
        self._hangs = Hangs()
        self._sent_hangs: dict[str, str] = {}
        self._count_at = _NEVER
        # The uploader's first message has the time of the newest poll of an earlier agent.
        self.collector.start_at = time.monotonic() + _HISTORY_S

    def __iter__(self) -> Iterator[Worker]:
        """Iterate over the two workers."""
        return iter((self.collector, self.uploader))

    @property
    def links(self) -> list[Link]:
        """The open links to the workers."""
        return [worker.link for worker in self if worker.link is not None]

    @property
    def links_to_wait_for(self) -> list[Link]:
        """The links whose messages end the wait: none while control rests."""
        return [] if self._rest.is_on else self.links

    @property
    def wake_at(self) -> float:
        """When to start, check or hear a worker next, on the monotonic clock; infinity if never."""
        moments = [self._rest.ends_at] if self._rest.is_on else []
        moments += [self._liveness.deadline(worker) for worker in self if worker.alive]
        moments += [worker.reap_by for worker in self if worker.alive]
        moments.append(self._count_at)
        moments += [worker.start_at for worker in self if self._is_wanted(worker)]
        return min(moments, default=_NEVER)

    @property
    def any_left(self) -> bool:
        """Whether a worker runs, or should run."""
        return any(worker.alive or self._is_wanted(worker) for worker in self)

    @property
    def names_alive(self) -> list[str]:
        """The names of the running workers."""
        return [worker.role.name for worker in self if worker.alive]

    def begin_polling(self) -> None:
        """Make the first collector due as soon as the account of earlier polls is known."""
        if self._broker.ledger.account is not None and not self.collector.restarts:
            self.collector.start_at = 0.0

    def start_due(self, close_in_child: Callable[[], None]) -> None:
        """Start each worker that is due; `close_in_child` is as for `Worker.start`."""
        for worker in self:
            if self._is_wanted(worker) and time.monotonic() >= worker.start_at:
                if worker is self.collector:
                    self._broker.collector_started(self._live.config.groups, now_ms())
                self._start(worker, close_in_child)

    def flush(self, writable: Collection[FileDescriptorLike]) -> None:
        """Send more of what did not fit into a link."""
        for link in self.links:
            # A closed link is noticed by `listen`.
            if link in writable:
                with contextlib.suppress(LinkClosedError):
                    link.flush()

    def listen(self) -> None:
        """Receive and handle the messages of the workers, also those that did not end the wait."""
        for worker in self:
            self._listen(worker)

    def rest(self) -> None:
        """Leave the links unread for a while, if polls come fast and nothing else is to be done."""
        self._rest.plan(
            is_possible=not self.are_stopping
            and self._live.reader is None
            and self.uploader.alive
            and not self._broker.leaving
        )

    def replace(self, *, any_ended: bool) -> None:
        """Reap workers that have exited, and kill unresponsive ones; `start_due` restarts both.

        Raises `StartError` if a worker reported, before the first poll is safe, that a restart cannot
        help.
        """
        for worker in self:
            # SIGCHLD reports each exit, and a link closes with its process.
            if any_ended or worker.link is None:
                self._reap(worker)
            self._leave_behind_if_overdue(worker)
            self._kill_if_unresponsive(worker)
            if any_ended:
                self._reap_left(worker)
        self._count_missed_if_due()
        self._send_hangs()

    def reset_timers(self, planned: float) -> None:
        """Restart the liveness timers where needed, as `Liveness.reset_timers`."""
        self._liveness.reset_timers(planned)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to both workers."""
        for worker in self:
            worker.signal(number)

    def begin_stop(self) -> None:
        """Have the collector end; the uploader ends once it has all polls."""
        self.are_stopping = True
        self.collector.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process could not exit
        if self.collector.reap_by != _NEVER:
            # It was killed before, or the signal to the whole group has reached it first.
            self.collector.expect_end(REAP_IN_STOP_S)

    def close_links(self) -> None:
        """Close all links."""
        for worker in self:
            worker.close_link()

    def kill(self, wait_s: float) -> None:
        """Kill both workers; wait at most `wait_s` for each."""
        for worker in self:
            worker.kill(wait_s)
        self.close_links()

    def _is_wanted(self, worker: Worker) -> bool:
        """Whether a worker that does not run should run."""
        if worker.alive or len(worker.left) > worker.role.beside:
            return False
        # If the uploader dies during a stop, only another one can save the remaining polls.
        is_needed = worker is self.uploader and len(self._broker.channel) > 0
        return not self.are_stopping or (is_needed and not self._gave_up)

    def _start(self, worker: Worker, close_in_child: Callable[[], None]) -> None:
        """Start a worker, or plan the next try: the host may have a process to spare later."""
        try:
            worker.start(close_in_child)
        except OSError as error:
            worker.note_death(f"a start that failed ({error.strerror})")
            _LOG.error("The %s cannot be started: %s.", worker.role.name, error.strerror)
            return
        if worker is self.collector:
            self._sent_hangs, self._count_at = {}, _NEVER
            self._send_hangs()
        self._live.started(worker)
        self._liveness.heard(worker)

    def _listen(self, worker: Worker) -> bool:
        """Handle the messages of a worker. Return whether there were any."""
        if worker.link is None:
            return False
        try:
            messages = worker.link.receive()
        except LinkClosedError:
            # It has exited or is about to; SIGCHLD will report it. Reading on would spin.
            worker.close_link()
            worker.expect_end(self._reap_s(worker))
            return False
        if messages:
            self._liveness.heard(worker)
        for message in messages:
            self._broker.handle(worker, message)
        return bool(messages)

    def _reap(self, worker: Worker) -> None:
        """Reap a process that has exited, and handle its last messages."""
        code = worker.reap()
        if code is None:
            return
        while self._listen(worker):
            pass
        self._note_end(worker, exit_description(code), code)

    def _note_end(self, worker: Worker, how: str, code: int | None) -> None:
        """Note that a process has ended, with its exit status, or that it is left behind: None."""
        worker.note_death(how)
        if worker is self.uploader:
            # An uploader that was told to finish, and exited without being killed, could not store the
            # polls that it still held, or not open the spool. Nor could another one. Polls that it
            # never got need another one.
            unsaved = self._broker.closed and (
                self._broker.channel.leased or self._broker.ledger.account is None
            )
            self._gave_up = bool(unsaved) and code is not None and code >= 0
            self._broker.uploader_gone()
        if not self.are_stopping:
            if code is not None:
                _LOG.warning("The %s exited (%s).", worker.role.name, worker.last_death)
            if worker.fatal and not self._broker.any_kept:
                raise StartError(worker.fatal)

    def _kill_if_unresponsive(self, worker: Worker) -> None:
        if worker.alive and time.monotonic() >= self._liveness.deadline(worker):
            _LOG.error(
                "The %s (process %d) has sent nothing for %d s; killing it.",
                worker.role.name,
                worker.pid,
                self._liveness.quiet_s(worker),
            )
            self._kill_hanging(worker)

    def kill_late_collector(self) -> None:
        """Kill a collector that has not ended in time in a stop. It holds nothing to be saved."""
        if self.collector.alive and self.collector.reap_by == _NEVER:
            _LOG.error("The collector (process %d) does not end; killing it.", self.collector.pid)
            self._kill_hanging(self.collector)

    def _kill_hanging(self, worker: Worker) -> None:
        # A process that SIGSTOP stopped is not where it hangs.
        worker.hung_in = "" if is_stopped(worker.pid) else worker.role.place()
        worker.signal(signal.SIGKILL)
        worker.expect_end(self._reap_s(worker))
        self._liveness.heard(worker)
        if worker is self.collector:
            self._broker.ledger.excuse(COLLECTOR_HUNG)
            if worker.hung_in:
                self._hangs.killed(worker.hung_in, worker.pid)

    def _reap_s(self, worker: Worker) -> float:
        # An uploader may be in the middle of a slow sync, and the next one needs its lock.
        in_stop = self.are_stopping and worker is self.collector
        return REAP_IN_STOP_S if in_stop else _REAP_S

    def _leave_behind_if_overdue(self, worker: Worker) -> None:
        """Give up a process that was killed, or has closed its link, and does not end."""
        if not worker.alive or time.monotonic() < worker.reap_by:
            return
        left = worker.leave_behind()
        place = f", in {left.place}" if left.place else ""
        self._note_end(worker, f"process {left.pid} hangs in the kernel{place}", None)
        _LOG.error(
            "The %s (process %d) cannot be killed: it hangs in the kernel%s. %s",
            worker.role.name,
            left.pid,
            place,
            self._what_next(worker),
        )
        if worker is self.collector:
            if left.place:
                self._hangs.left_behind(left.place, left.pid)
            self._broker.ledger.excuse(COLLECTOR_HUNG)
            self._count_at = time.monotonic()

    def _what_next(self, worker: Worker) -> str:
        if self.are_stopping:
            return "It is left behind."
        if self._is_wanted(worker):
            return "Another one is started beside it."
        return "No other one is started until it ends."

    def _reap_left(self, worker: Worker) -> None:
        for left in worker.reap_left():
            _LOG.info("Process %d, which could not be killed, has ended.", left.pid)
            self._hangs.ended(left.pid)

    def _send_hangs(self) -> None:
        """Tell the collector which sources not to read, if that has changed."""
        reasons = self._hangs.reasons()
        if reasons == self._sent_hangs or self.collector.link is None:
            return
        with contextlib.suppress(LinkClosedError):
            self.collector.link.send(Kind.AVOID, reasons)
        self._sent_hangs = reasons

    def _count_missed_if_due(self) -> None:
        """Count the ticks that are missed while no collector runs, as no poll brings them along."""
        if time.monotonic() >= self._count_at:
            self._broker.count_missed(now_ms())
            self._count_at = time.monotonic() + _COUNT_S
