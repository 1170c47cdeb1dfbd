"""A hub's collector as a process: what it asks, what it sends to control, and when it acknowledges."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.collect.spokes.hub import Hub
from pattoo_mp.config.values import NO_FILES, Config, Target
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind, SpokeReport
from pattoo_mp.model import Layout
from pattoo_mp.program import HUB, acting_as
from tests.support.configs import config_in
from tests.support.listening import Answering, Listening
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.ipc.link import Message

AGENT = "70" * 32
SERIES = [["load", 99, [["hostname", "web1"]]]]


class Spoke(Answering):
    """Answers as a spoke of ours does."""

    server: SpokeServer

    def do_GET(self) -> None:  # noqa: N802 - as http.server looks for it
        """Send what waits."""
        owner = self.server
        owner.requests.append(self.path)
        owner.may_answer.wait(9)
        if owner.is_original:
            self._send(404, b"no")
            return
        polls = [poll for poll in owner.polls if poll[0] > owner.acknowledged][: owner.most]
        known = self.path.partition("known=")[2].split(",")
        names = {poll[2] for poll in polls} - set(known)
        content = {
            "version": 1,
            "agent": {"id": owner.agent_id, "hostname": "web1"},
            "layouts": {name: owner.layout | {"series": owner.series[name]} for name in names},
            "polls": polls,
            "more": len(polls)
            < len([poll for poll in owner.polls if poll[0] > owner.acknowledged]),
        }
        self._send(200 if polls else 204, json.dumps(content).encode() if polls else b"")

    def do_POST(self) -> None:  # noqa: N802 - as http.server looks for it
        """Note an acknowledgement."""
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.acknowledgements.append(content)
        if self.server.conflict:
            self.server.conflict = False
            self._send(409, b"no")
            return
        self.server.acknowledged = content["up_to"]
        self._send(204, b"")

    def _send(self, status: int, body: bytes) -> None:
        if self.server.closes:
            self.answer(status, body)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class SpokeServer(Listening):
    """A spoke that has `polls`: each a number, a time, the name of a layout, and values."""

    def __init__(self, agent_id: str = AGENT) -> None:
        super().__init__(("127.0.0.1", 0), Spoke)
        self.port: int = self.server_address[1]
        self.agent_id = agent_id
        self.layout = {
            "agent_id": agent_id,
            "hostname": "web1",
            "program": "x",
            "interval_ms": 1000,
        }
        self.series: dict[str, list[Any]] = {"aa": SERIES}
        self.polls: list[list[Any]] = []
        self.acknowledged = 0
        self.acknowledgements: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.conflict = self.closes = self.is_original = False
        self.most = 1000
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.began = int(time.time()) * 1000 - 100_000
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def poll(self, name: str = "aa", values: tuple[int, ...] = (5,)) -> int:
        """Add a poll, and return its time."""
        number = len(self.polls) + 1
        time_ms = self.began + number * 1000
        self.polls.append([number, time_ms, name, list(values)])
        return time_ms


class Process:
    """A hub's collector in a child process. The test acts as control."""

    def __init__(self, home: Path, *targets: Target) -> None:
        self.heard: list[Message] = []
        self.config: Config = config_in(home, interval_ms=1000, targets=targets, hub_name="basel")
        self.link, theirs = Link.pair()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(theirs)
        theirs.close()

    def _run(self, link: Link) -> None:
        status = 1
        try:
            self.link.close()
            with acting_as(HUB):
                Hub(link, "f" * 64, self.config, 0).run()
            status = 0
        except BaseException:  # noqa: BLE001 - pytest's own handling must not run in the child
            traceback.print_exc()
        finally:
            os._exit(status)

    def hear(self, kind: Kind) -> list[Message]:
        """Return all messages of a kind so far."""
        self.heard += self.link.receive()
        return [message for message in self.heard if message[0] == kind]

    def times(self) -> list[int]:
        """Return the times of the polls so far."""
        return [message[2] for message in self.hear(Kind.SPOKE_POLL)]

    def report(self, name: str) -> SpokeReport | None:
        """Return the last report of a target."""
        rows = [m[1][name] for m in self.hear(Kind.SPOKES) if name in m[1]]
        return SpokeReport(*rows[-1]) if rows else None

    def stored(self, polls: int) -> None:
        """Tell it that so many of its polls are in the spool."""
        self.link.send(Kind.STORED, polls)


def target(port: int, name: str = "web1") -> Target:
    """Return a target on this host."""
    return Target(name, "127.0.0.1", port, 0, tls=False, trust=NO_FILES)


@pytest.fixture
def spoke() -> Iterator[SpokeServer]:
    """A spoke of ours."""
    made = SpokeServer()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def made() -> Iterator[list[Process]]:
    """The collectors that a test has made; they are killed afterwards."""
    found: list[Process] = []
    yield found
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
        process.link.close()


@pytest.fixture
def hub(home: Path, spoke: SpokeServer, made: list[Process]) -> Process:
    """A collector that asks the spoke every second."""
    process = Process(home, target(spoke.port))
    made.append(process)
    return process


def test_polls_are_acknowledged_only_when_they_are_stored(hub: Process, spoke: SpokeServer) -> None:
    """Until then the spoke is not asked again."""
    first = [spoke.poll(), spoke.poll()]
    hub.stored(0)
    wait_for(lambda: hub.times() == first, what="the polls")
    asked = len(spoke.requests)
    later = spoke.poll()
    hub.stored(1)
    wait_for(lambda: hub.report("web1"), what="a report")
    until = time.monotonic() + 1.5  # more than an interval
    wait_for(lambda: time.monotonic() > until)
    assert (len(spoke.requests), spoke.acknowledgements) == (asked, [])
    hub.stored(2)
    wait_for(lambda: hub.times() == [*first, later], what="the next poll")
    assert spoke.acknowledgements == [{"hub": "basel", "up_to": 2}]
    assert spoke.requests[-1].endswith("&known=aa")


def test_a_backlog_is_fetched_as_fast_as_it_is_stored(hub: Process, spoke: SpokeServer) -> None:
    """In order, and each poll once."""
    spoke.most = 2
    times = [spoke.poll() for _ in range(7)]
    hub.stored(0)
    for count in (2, 4, 6, 7):
        wait_for(lambda count=count: len(hub.times()) == count, what="polls")  # type: ignore[misc]
        hub.stored(count)
    assert hub.times() == times


def test_what_comes_again_is_passed_over(hub: Process, spoke: SpokeServer) -> None:
    """An acknowledgement that was refused, or what an earlier collector has taken."""
    times = [spoke.poll() for _ in range(3)]
    hub.link.send(Kind.GROUPS, {f"{AGENT} 1000": times[0]})
    hub.stored(-1)
    wait_for(lambda: hub.times() == times[1:], what="what is new")
    assert spoke.acknowledgements == []  # the first poll is not stored yet
    spoke.conflict = True
    hub.stored(2)
    wait_for(lambda: spoke.acknowledged == 3, what="an acknowledgement")
    assert hub.times() == times[1:]
    report = wait_for(lambda: hub.report("web1"))
    assert report.kind == "gapless"


def test_a_layout_goes_to_control_once_and_again_when_it_returns(
    hub: Process, spoke: SpokeServer
) -> None:
    """Control keeps the newest of each group."""
    spoke.series["bb"] = [*SERIES, ["more", 99, []]]
    hub.stored(0)
    for count, (name, values) in enumerate(
        [("aa", (1,)), ("aa", (2,)), ("bb", (3, 4)), ("aa", (5,))], 1
    ):
        spoke.poll(name, values)
        wait_for(lambda count=count: len(hub.times()) == count, what="the poll")  # type: ignore[misc]
        hub.stored(count)
    layouts = [Layout.unpack(message[2]) for message in hub.hear(Kind.LAYOUT)]
    assert [len(layout.series) for layout in layouts] == [1, 2, 1]
    assert all(layout.compressed for layout in layouts)
    assert {message[3] for message in hub.hear(Kind.LAYOUT)} == {f"{AGENT} 1000"}


def test_a_server_that_closes_each_connection_is_asked_again(
    hub: Process, spoke: SpokeServer
) -> None:
    """As a proxy in front of a spoke may do."""
    spoke.closes = True
    hub.stored(0)
    for count in (1, 2, 3):
        spoke.poll()
        wait_for(lambda count=count: len(hub.times()) == count, what="the poll")  # type: ignore[misc]
        hub.stored(count)
    assert wait_for(lambda: hub.report("web1")).failed == 0


def test_nothing_is_asked_of_ours_before_control_says_what_is_stored(
    hub: Process, spoke: SpokeServer
) -> None:
    """Otherwise what comes again would be taken twice."""
    spoke.poll()
    report = wait_for(lambda: hub.report("web1"))
    assert report.state == "new"
    assert hub.times() == []
    hub.stored(0)
    wait_for(lambda: len(hub.times()) == 1, what="the poll")


def test_other_settings_take_effect_and_the_rest_goes_on(
    hub: Process, spoke: SpokeServer, home: Path
) -> None:
    """A target that is gone is forgotten, with its groups; a new one is asked."""
    del home
    other = SpokeServer("60" * 32)
    try:
        spoke.poll()
        time_ms = other.poll()
        hub.stored(0)
        wait_for(lambda: len(hub.times()) == 1, what="the poll of the first")
        config = replace(hub.config, targets=(target(other.port, "web2"),))
        hub.link.send(Kind.SETTINGS, 1, config.fields())
        wait_for(lambda: hub.hear(Kind.APPLIED) == [[Kind.APPLIED, 1]], what="its confirmation")
        assert hub.hear(Kind.FORGET) == [[Kind.FORGET, ["web1"], [f"{AGENT} 1000"]]]
        wait_for(lambda: len(hub.times()) == 2, what="the poll of the second")
        assert hub.times()[-1] == time_ms
    finally:
        other.shutdown()
        other.server_close()


def test_two_hosts_that_change_places_are_both_taken(
    spoke: SpokeServer, home: Path, made: list[Process]
) -> None:
    """Neither is refused for good because the other one had its identity."""
    other = SpokeServer("60" * 32)
    other.began = spoke.began + 100  # a second between them would make the later poll one of before
    try:
        process = Process(home, target(spoke.port), target(other.port, "web2"))
        made.append(process)
        process.stored(0)
        spoke.poll()
        other.poll()
        wait_for(lambda: len(process.times()) == 2, what="a poll of each")
        process.stored(2)
        for server, agent_id in ((spoke, other.agent_id), (other, spoke.agent_id)):
            server.agent_id = agent_id
            server.layout = server.layout | {"agent_id": agent_id}
            server.series = {"bb": SERIES}
        spoke.poll("bb")
        other.poll("bb")

        def came() -> bool:
            process.stored(len(process.times()))
            return len(process.times()) == 4

        wait_for(came, what="a poll of each at its new place")
    finally:
        other.shutdown()
        other.server_close()


def test_a_spoke_cannot_take_a_poll_for_another_one(
    spoke: SpokeServer, home: Path, made: list[Process]
) -> None:
    """Nor the room for its identity, with a layout that names it."""
    process = Process(home, target(spoke.port))
    made.append(process)
    other = SpokeServer("60" * 32)
    try:
        spoke.poll()
        process.stored(0)
        wait_for(lambda: len(process.times()) == 1, what="the poll of the first")
        process.stored(1)
        targets = (target(spoke.port), target(other.port, "web2"))
        process.link.send(Kind.SETTINGS, 1, replace(process.config, targets=targets).fields())
        other.layout = other.layout | {"agent_id": AGENT}
        other.poll()
        report = wait_for(lambda: refusal(process, "web2"), what="the refusal")
        assert report.why == "it has the identity of web1; expected one of its own"
        assert len(process.times()) == 1
    finally:
        other.shutdown()
        other.server_close()


def refusal(process: Process, name: str) -> SpokeReport | None:
    """Return the report of a target that is refusing, if it is."""
    report = process.report(name)
    return report if report is not None and report.state == "refusing" else None


def test_groups_are_bounded_but_each_target_has_one(
    spoke: SpokeServer, home: Path, made: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spoke may name an interval in each poll; another spoke is taken all the same."""
    monkeypatch.setattr("pattoo_mp.collect.spokes.intake._GROUPS", 1)
    other = SpokeServer("60" * 32)
    try:
        process = Process(home, target(spoke.port))
        made.append(process)
        process.stored(0)
        spoke.poll()
        wait_for(lambda: len(process.times()) == 1, what="the first poll")
        process.stored(1)
        spoke.layout["interval_ms"] = 2000
        spoke.series = {"bb": SERIES}
        spoke.poll("bb")
        report = wait_for(lambda: refusal(process, "web1"), what="the refusal")
        assert "beyond the 1 that" in report.why
        targets = (target(spoke.port), target(other.port, "web2"))
        process.link.send(Kind.SETTINGS, 1, replace(process.config, targets=targets).fields())
        other.poll()
        wait_for(lambda: len(process.times()) == 2, what="the poll of the other")
    finally:
        other.shutdown()
        other.server_close()


def test_nobody_is_asked_while_large_layouts_wait_for_the_spool(
    spoke: SpokeServer, home: Path, made: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel would have no room for them, and drop polls of others."""
    monkeypatch.setattr("pattoo_mp.collect.spokes.intake._UNSTORED_BYTES", 1000)
    other = SpokeServer("60" * 32)
    try:
        process = Process(home, target(spoke.port), target(other.port, "web2"))
        made.append(process)
        process.stored(0)
        spoke.series["aa"] = [["load", 99, [["key", random.Random(4).randbytes(2000).hex()]]]]
        spoke.poll()
        wait_for(lambda: len(process.times()) == 1, what="the poll")
        asked = len(other.requests)
        until = time.monotonic() + 2.5  # more than two intervals
        wait_for(lambda: time.monotonic() > until)
        assert len(other.requests) <= asked + 1  # it may have been under way
        process.stored(1)
        wait_for(lambda: len(other.requests) > asked + 2, what="further requests")
    finally:
        other.shutdown()
        other.server_close()


def test_a_target_that_is_renamed_while_it_is_asked_is_taken(
    hub: Process, spoke: SpokeServer
) -> None:
    """The answer to the target that is gone leaves no trace, in the status either."""
    spoke.poll()
    spoke.may_answer.clear()
    hub.stored(0)
    wait_for(lambda: spoke.requests, what="a request")
    config = replace(hub.config, targets=(target(spoke.port, "db1"),))
    hub.link.send(Kind.SETTINGS, 1, config.fields())
    wait_for(lambda: hub.hear(Kind.APPLIED), what="its confirmation")
    spoke.may_answer.set()
    wait_for(lambda: len(hub.times()) == 1, what="the poll")
    wait_for(lambda: (report := hub.report("db1")) and report.state == "well", what="its report")
    after = hub.heard[hub.heard.index([Kind.APPLIED, 1]) :]
    assert not [message for message in after if message[0] == Kind.SPOKES and "web1" in message[1]]


def test_a_number_is_not_acknowledged_at_another_host(hub: Process, spoke: SpokeServer) -> None:
    """The address of a target may change while its polls are on their way to the spool."""
    other = SpokeServer("60" * 32)
    try:
        spoke.poll()
        hub.stored(0)
        wait_for(lambda: len(hub.times()) == 1, what="the poll of the first")
        config = replace(hub.config, targets=(target(other.port),))
        hub.link.send(Kind.SETTINGS, 1, config.fields())
        wait_for(lambda: hub.hear(Kind.APPLIED), what="its confirmation")
        other.poll()
        hub.stored(1)
        wait_for(lambda: len(hub.times()) == 2, what="the poll of the second")
        assert other.acknowledgements == []
    finally:
        other.shutdown()
        other.server_close()


def test_it_ends_with_control(hub: Process) -> None:
    """And by a signal."""
    wait_for(lambda: hub.report("web1"))
    hub.link.close()
    assert wait_for(lambda: os.waitid(os.P_PID, hub.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def test_a_target_that_is_away_is_reported_with_the_reason(home: Path, made: list[Process]) -> None:
    """Each time that it is asked counts."""
    process = Process(home, target(free_port()))
    made.append(process)
    process.stored(0)

    def away() -> SpokeReport | None:
        report = process.report("web1")
        return report if report is not None and report.state == "away" else None

    report = wait_for(away, what="the report")
    assert report.why == "cannot be reached: Connection refused"


def test_an_original_that_takes_the_place_of_a_spoke_of_ours_is_asked_for_its_page(
    hub: Process, spoke: SpokeServer
) -> None:
    """The first request after the change fails; the next one finds out what is there now."""
    spoke.poll()
    hub.stored(0)
    wait_for(lambda: len(hub.times()) == 1, what="a poll")
    hub.stored(1)
    spoke.is_original = True
    wait_for(lambda: "/pattoo-agent-os/1" in spoke.requests, what="a request for the page")
