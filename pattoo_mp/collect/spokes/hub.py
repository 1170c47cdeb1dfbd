"""A hub's collector: asks each spoke at its ticks, and sends control what it brings.

One thread and one asyncio loop. The ticks of the targets are spread over their interval. A spoke is asked once
at a time, and each exchange is bounded (exchange.py), so whatever one does costs another nothing. Those that did
not answer well last time have connections of their own: however many hang, the others find one.

What a spoke of ours has is acknowledged only when it is in this hub's spool. So its next request waits for that.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import resource
import signal
import time
from collections import deque
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.collect.collector import request_short_slice
from pattoo_mp.collect.spokes import page, pulled
from pattoo_mp.collect.spokes.asking import NO_CONTENT, Asker
from pattoo_mp.collect.spokes.exchange import AskError
from pattoo_mp.collect.spokes.intake import Intake
from pattoo_mp.collect.spokes.pulled import LayoutMissingError
from pattoo_mp.collect.spokes.taken import LeftOut, bad
from pattoo_mp.collect.spokes.target import GAPLESS, PAGE, Spoke
from pattoo_mp.config.values import Config
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind, SpokeState
from pattoo_mp.model import now_ms
from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.spokes.exchange import Answer
    from pattoo_mp.collect.spokes.pulled import Known
    from pattoo_mp.ipc.link import Link, Message
    from pattoo_mp.model import Origin

_LOG = logging.getLogger(__name__)

#: How many spokes are asked at a time: of those that answered well, and of the others.
_CONNECTIONS: Final = 600
_OF_BAD: Final = 400
#: If this process is late by more than this (s), it has too little processor time. Then only so many spokes
#: are asked at a time: each of hundreds would take longer than its time limit, and all be in vain.
_LAG_S: Final = 0.2
_IF_LATE: Final = 50
#: How often that is checked (s).
_CHECK_S: Final = 0.1
#: Descriptors for everything else.
_OTHER_FILES: Final = 64
#: Overdue targets are asked one after the other, so far apart (s): after a start these are all.
_APART_S: Final = 0.005
#: How often control gets the reports of targets (s), and how often at least it hears something.
_REPORT_S: Final = 1.0
_ALIVE_S: Final = 10.0
#: Without word from control what is stored, only pages are asked for, from then on (s).
_WAIT_S: Final = 5.0
#: How often a spoke that has pages only is asked whether it is one of ours now (s).
_PROBE_S: Final = 3600.0
_FLUSH_S: Final = 2.0
#: Of the lateness of the last requests, the 99th percentile is reported.
_SAMPLES: Final = 2000


def collector(
    link: Link,
    origin: Origin,
    config: Config,
    after_ms: int,
    *,
    at_once: bool,
    adopt: Callable[[Config], None],
    begin: Callable[[str], None],
) -> Hub:
    """Return what the collector process of a hub runs (`Program.collector`)."""
    del at_once, begin  # of collectors that poll a host
    return Hub(link, origin.agent_id, config, after_ms, adopt=adopt)


class Hub:
    """Asks the spokes of a configuration.

    `agent_id` is that of the hub, its name at spokes if the configuration gives it none. `after_ms` is when an
    earlier collector last took a poll: targets whose tick has passed since are asked at once. `adopt` applies
    new settings to the process itself.
    """

    def __init__(
        self,
        link: Link,
        agent_id: str,
        config: Config,
        after_ms: int,
        *,
        adopt: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._agent_id = agent_id
        self._config = config
        self._after_s = after_ms / 1000
        self._adopt = adopt
        self._asker = Asker(config.hub_name or agent_id)
        self._spokes: dict[str, Spoke] = {}
        #: The next tick of each target; the number keeps targets of one moment apart.
        self._dues: list[tuple[float, int, Spoke]] = []
        self._numbers = count()
        self._intake = Intake(link, self._end)
        #: Targets whose next request waits for the spool.
        self._waiting: dict[str, Spoke] = {}
        self._changed: dict[str, Spoke] = {}
        self._late: deque[float] = deque(maxlen=_SAMPLES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self._began = self._lag_s = 0.0
        self._reported_at = 0.0

    def run(self) -> None:
        """Ask until a signal comes or control ends."""
        request_short_slice()
        raise_limit()
        self._wakeup = Wakeup((signal.SIGTERM, signal.SIGINT), log.SIGNAL_ACTIONS)
        try:
            asyncio.run(self._run())
        except LinkClosedError:
            _LOG.error("Control has exited; the collector exits.")

    # --- the loop

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._new_due, self._word = asyncio.Event(), asyncio.Event()
        free = max(2, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
        self._well = asyncio.Semaphore(min(_CONNECTIONS, max(1, free * 6 // 10)))
        self._bad = asyncio.Semaphore(min(_OF_BAD, max(1, free * 4 // 10)))
        self._began = time.monotonic()
        loop.add_reader(self._link.fileno(), self._receive)
        loop.add_reader(self._wakeup.fileno(), self._take_signals)
        self._set_targets(self._config, self._after_s)
        self._send_reports()
        tasks = (self._tick(), self._report_often(), self._measure_lag())
        working = [asyncio.ensure_future(task) for task in tasks]
        await asyncio.wait([self._ended, *working], return_when=asyncio.FIRST_COMPLETED)
        for task in (*working, *self._tasks):
            task.cancel()
        await asyncio.gather(*working, *self._tasks, return_exceptions=True)
        loop.remove_reader(self._link.fileno())
        failed = [task for task in working if not task.cancelled() and task.exception()]
        if failed:
            await failed[0]
        await self._ended
        self._send_reports()
        until = time.monotonic() + _FLUSH_S
        while self._link.unsent_bytes and time.monotonic() < until:
            await asyncio.sleep(0.01)
            self._link.flush()

    async def _tick(self) -> None:
        """Start a request for each target that is due."""
        while True:
            now = time.monotonic()
            while self._dues and self._dues[0][0] <= now and not self._is_overloaded:
                due, _, spoke = heapq.heappop(self._dues)
                if not spoke.gone and due == spoke.due:
                    self._start(spoke, due, now)
            left = self._dues[0][0] - time.monotonic() if self._dues else None
            if self._is_overloaded:
                left = _CHECK_S
            self._new_due.clear()
            if left is None or left > 0:
                await _wait_for(self._new_due, left)
            else:
                await asyncio.sleep(0)

    @property
    def _is_overloaded(self) -> bool:
        """Whether no further spoke is asked until others have answered."""
        return self._lag_s > _LAG_S and self._at_work >= _IF_LATE

    async def _measure_lag(self) -> None:
        """Keep track of how late this process is."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_CHECK_S)
            late = time.monotonic() - began - _CHECK_S
            self._lag_s = max(late, self._lag_s * 0.8)

    def _start(self, spoke: Spoke, due: float, now: float) -> None:
        """Begin to ask a target whose tick is due, unless it is being asked, and plan its next tick."""
        self._plan(spoke, spoke.due_after(now))
        if spoke.target.name in self._waiting:
            spoke.waits = True
        elif not spoke.busy and not self._intake.is_full():
            self._ask_soon(spoke, due)

    def _ask_soon(self, spoke: Spoke, due: float) -> None:
        spoke.busy = True
        task = asyncio.ensure_future(self._ask(spoke, due))
        self._tasks.add(task)
        # Those that only wait for a spoke that hangs take no processor time.
        work = int(not spoke.hangs)
        self._at_work += work
        task.add_done_callback(partial(self._note_done, work))

    def _note_done(self, work: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._at_work -= work
        if not task.cancelled():
            task.exception()  # control is gone, which `_receive` finds out, too

    def _plan(self, spoke: Spoke, due: float) -> None:
        spoke.due = due
        heapq.heappush(self._dues, (due, next(self._numbers), spoke))
        if self._dues[0][2] is spoke:
            self._new_due.set()

    # --- asking

    async def _ask(self, spoke: Spoke, due: float) -> None:
        try:
            lane = self._bad if _is_bad(spoke) else self._well
            async with lane:
                if spoke.gone:
                    return
                self._late.append(max(0.0, time.monotonic() - due))
                await self._ask_now(spoke)
        except AskError as error:
            spoke.failed(error.state, str(error))
        except (LinkClosedError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - one spoke must not end the others
            _LOG.exception("The answer of %s led to an unexpected error.", spoke.target.name)
            spoke.failed(SpokeState.REFUSING, f"its answer led to an error: {type(error).__name__}")
        finally:
            spoke.busy = False
            if not spoke.gone:
                self._changed[spoke.target.name] = spoke
                _log_state(spoke)

    async def _ask_now(self, spoke: Spoke) -> None:
        if self._intake.stored is None and time.monotonic() < self._began + _WAIT_S:
            # Control tells what earlier collectors have taken; it takes a moment.
            await _wait_for(self._word, self._began + _WAIT_S - time.monotonic())
        spoke.asked()
        began = time.monotonic()
        if spoke.kind != PAGE or began >= spoke.probe_at:
            if self._intake.stored is None:
                if spoke.kind == GAPLESS:
                    return
            elif await self._pull(spoke, began):
                return
        await self._ask_page(spoke, began)

    async def _ask_page(self, spoke: Spoke, began: float) -> None:
        """Ask for the page of an original. Raises `AskError`."""
        answer = await self._asker.page(spoke)
        if spoke.gone:
            return  # the target may be there again, under another name
        found = page.read(answer.body, now_ms(), (spoke.digest, spoke.layout_id))
        if spoke.kind != PAGE:
            # Without word from control it was not asked what it is.
            was_asked = self._intake.stored is not None
            spoke.kind, spoke.probe_at = PAGE, began + _PROBE_S if was_asked else 0.0
        self._intake.own(spoke, found.origin.agent_id, found.origin.hostname)
        poll, newest_ms = found.poll, self._intake.newest_ms(found.group)
        if poll.timestamp_ms <= newest_ms:
            spoke.took(0, 1, LeftOut(), 0)
            raise bad("its page is not newer than the one before")
        interval_ms = spoke.interval_s * 1000
        ticks = round((poll.timestamp_ms - newest_ms) / interval_ms) - 1 if newest_ms else 0
        why = spoke.miss_why
        if found.layout is None and spoke.layouts.get(found.group) != poll.layout_id:
            found = page.read(answer.body, now_ms())  # control has forgotten the layout
            poll = found.poll
        spoke.digest, spoke.layout_id = found.digest, poll.layout_id
        self._intake.send_poll(spoke, poll, found.layout, max(0, ticks), why)
        spoke.took(1, 0, found.left_out, max(0, ticks))
        spoke.answered(time.monotonic() - began, _left_out(found.left_out))

    async def _pull(self, spoke: Spoke, began: float) -> bool:
        """Fetch what an agent of ours has. Return False if it is none. Raises `AskError`."""
        known = spoke.known or {}
        answer = await self._asker.polls(spoke)
        if spoke.gone:
            return True
        if answer is None:
            return False
        spoke.kind, spoke.more = GAPLESS, False
        try:
            found = self._fetched(spoke, answer, known)
        except LayoutMissingError:
            self._ask_for_layouts(spoke)
            return True
        if found.early:
            raise bad(found.early)
        spoke.answered(time.monotonic() - began, _left_out(found.left_out))
        return True

    def _fetched(self, spoke: Spoke, answer: Answer, known: Mapping[str, Known]) -> pulled.Pulled:
        """Take what an answer has. Raises `AskError`, `LayoutMissingError`."""
        if answer.status == NO_CONTENT:
            return pulled.Pulled()
        found = pulled.read(answer.body, now_ms(), known)
        self._take(spoke, found)
        return found

    def _ask_for_layouts(self, spoke: Spoke) -> None:
        """Fetch again, without saying what is known. Raises `AskError` if that was so already."""
        if not spoke.known:
            raise bad("its answer lacks the layout of a poll")
        spoke.known = None
        self._ask_again(spoke)

    def _take(self, spoke: Spoke, found: pulled.Pulled) -> None:
        """Send control what an answer has, and remember what the spoke may leave out next time."""
        self._intake.take(spoke, found)
        kept = (spoke.known or {}) | found.known
        newest = {
            name: one
            for name, one in kept.items()
            if spoke.layouts.get(one.group) == one.identifier
        }
        spoke.known = dict(list(newest.items())[-pulled.MOST_KNOWN :])
        spoke.account = found.account
        if found.up_to:
            spoke.up_to, spoke.safe_at, spoke.more = found.up_to, self._intake.sent, found.more
            self._waiting[spoke.target.name] = spoke
            self._let_go()

    # --- reports

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            self._send_reports()

    def _send_reports(self) -> None:
        now = time.monotonic()
        if not self._changed and now < self._reported_at + _ALIVE_S:
            return
        rows = {name: spoke.report().fields() for name, spoke in self._changed.items()}
        self._changed.clear()
        self._reported_at = now
        self._intake.send(Kind.SPOKES, rows, self._figures())

    def _figures(self) -> dict[str, float]:
        late = sorted(self._late)
        p99 = late[len(late) * 99 // 100] if late else 0.0
        return {"late_p99_ms": round(p99 * 1000, 1), "asking": len(self._tasks)}

    # --- what control sends

    def _receive(self) -> None:
        try:
            for message in self._link.receive():
                self._handle(message)
        except LinkClosedError as error:
            self._end(error)

    def _end(self, error: LinkClosedError | None = None) -> None:
        if not self._ended.done():
            if error is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(error)

    def _take_signals(self) -> None:
        if self._wakeup.take():
            self._end()

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.GROUPS, newest]:
                self._intake.resume(newest)
            case [Kind.STORED, polls]:
                self._intake.note_stored(polls)
                self._word.set()
                self._let_go()
            case [Kind.SETTINGS, number, settings]:
                self._renew(number, Config.of(settings))
            case [Kind.AVOID | Kind.LEDGER, *_]:
                pass
            case _:
                _LOG.error("Unknown message from control: %.80r", message)

    def _let_go(self) -> None:
        """Go on with targets whose polls are in the spool now."""
        for name, spoke in list(self._waiting.items()):
            if self._intake.stored is not None and self._intake.stored >= spoke.safe_at:
                del self._waiting[name]
                # One whose tick came meanwhile, or that has more, is asked at once.
                if spoke.more or spoke.waits:
                    spoke.waits = False
                    self._ask_again(spoke)

    def _ask_again(self, spoke: Spoke) -> None:
        """Ask a target again, out of turn, as soon as it is not being asked."""
        asyncio.get_running_loop().call_soon(self._ask_if_free, spoke)

    def _ask_if_free(self, spoke: Spoke) -> None:
        is_free = not spoke.busy and not spoke.gone and not self._ended.done()
        if is_free and not self._intake.is_full():
            self._ask_soon(spoke, time.monotonic())

    # --- settings

    def _renew(self, number: int, config: Config) -> None:
        before = self._config
        self._config = config
        self._asker.change(config.hub_name or self._agent_id)
        self._set_targets(config, time.time())
        if before.groups.keys() != config.groups.keys():
            self._intake.send(Kind.INTERVALS, sorted(config.groups), now_ms())
        self._adopt(config)
        self._intake.send(Kind.APPLIED, number)

    def _set_targets(self, config: Config, after_s: float) -> None:
        """Ask these targets from now on. Those that stay keep their ticks, unless their interval changes."""
        targets = {target.name: target for target in config.targets}
        self._forget([name for name in self._spokes if name not in targets])
        now, wall = time.monotonic(), time.time()
        overdue = count()
        for name, target in targets.items():
            spoke = self._spokes.get(name)
            if spoke is None:
                spoke = self._spokes[name] = Spoke(target, config.interval_ms)
                self._changed[name] = spoke
            else:
                interval_s = spoke.interval_s
                spoke.change(target, config.interval_ms)
                if spoke.interval_s == interval_s:
                    continue
            left = spoke.first_due(wall, after_s if spoke.state is SpokeState.NEW else wall)
            spoke.slot = now + left
            self._plan(spoke, spoke.slot if left > 0 else now + next(overdue) * _APART_S)

    def _forget(self, names: list[str]) -> None:
        groups: list[str] = []
        for name in names:
            spoke = self._spokes.pop(name)
            spoke.gone = True
            self._changed.pop(name, None)
            self._waiting.pop(name, None)
            groups += spoke.layouts
        if names:
            self._intake.forget(names, groups)


def _left_out(left_out: LeftOut) -> str:
    return f"values left out: {left_out.why}" if left_out.total else ""


def _is_bad(spoke: Spoke) -> bool:
    return spoke.state in {SpokeState.AWAY, SpokeState.SLOW, SpokeState.REFUSING}


async def _wait_for(event: asyncio.Event, within_s: float | None) -> None:
    """Wait for an event, at most so long."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass


def _log_state(spoke: Spoke) -> None:
    """Log a change of how a spoke answers, once."""
    is_well = spoke.state is SpokeState.WELL
    what = spoke.why if is_well else f"{spoke.state}: {spoke.why}"
    said = "" if is_well and not spoke.why else f"{spoke.state} {_without_digits(what)}"
    if said == spoke.logged:
        return
    was, spoke.logged = spoke.logged, said
    name = spoke.target.name
    if is_well and not spoke.why:
        _LOG.info("The spoke %s answers well again.", name)
    elif is_well:
        _LOG.warning("The spoke %s gives values that cannot be used; %s.", name, spoke.why)
    elif was.partition(" ")[0] != spoke.state or spoke.state is SpokeState.REFUSING:
        _LOG.warning("The spoke %s is %s.", name, what)


def _without_digits(words: str) -> str:
    return "".join(c for c in words if not c.isdigit())


def raise_limit() -> None:
    """Allow this process the descriptors that it may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OF_BAD + _OTHER_FILES
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
