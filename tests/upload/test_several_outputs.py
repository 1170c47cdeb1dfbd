"""The uploader process with two pattoo outputs, each with a server of its own."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import NO_FILES, PATTOO, Config, Output
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.upload import uploader as uploading
from pattoo_mp.upload.pattoo.servers import servers
from pattoo_mp.upload.uploader import Uploader
from tests.spool.polls import LAYOUT, poll
from tests.support.configs import config_in
from tests.support.server import answering, hanging, well
from tests.support.spools import AMPLE, open_spool
from tests.support.waiting import wait_for
from tests.upload.posting import sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.delivery import Sender
    from pattoo_mp.upload.spooled import Outbox
    from tests.support.server import PattooServer

AGENT_ID = "f" * 64
#: The outputs by the setting that these tests put their ports into: names and ports.
Ports = dict[str, int]


def outputs_of(config: Config) -> tuple[Output, ...]:
    """The outputs that `servers` names: a URL of each, with the name as the path."""
    named = {url.rpartition("/")[2]: url.rpartition("/")[0] for url in config.servers}
    return tuple(Output(PATTOO, name, (url,), NO_FILES, None) for name, url in named.items())


def settings(home: Path, ports: Ports) -> Config:
    """A configuration with an output for each name, at a port of this host."""
    return config_in(home, servers=tuple(f"http://127.0.0.1:{p}/{n}" for n, p in ports.items()))


def send_to(config: Config, output: Output, outbox: Outbox) -> Sender:
    """What posts to an output."""
    return sender(servers(config, output, AGENT_ID), outbox)


class Control:
    """A control process: starts uploaders, and gives each new one all polls that are not kept."""

    def __init__(self, home: Path, ports: Ports) -> None:
        self.home = home
        self.ports = ports
        self.path = home / "spool.sqlite"
        self.unkept: list[int] = []
        self.accounts: dict[str, dict[str, int]] = {}
        self.errors: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        """Start an uploader, and give it what the one before had not stored."""
        self.link, theirs = Link.pair()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(theirs)
        theirs.close()
        for number in self.unkept:
            self._send(number)

    def _be(self, link: Link) -> None:
        status = 1
        try:
            self.link.close()
            config = settings(self.home, self.ports)
            spool = open_spool(self.path, AMPLE, outputs=tuple(self.ports))
            Uploader(link, config, spool, "channel", AGENT_ID, sender=send_to).run()
            status = 0
        finally:
            os._exit(status)

    def give(self, number: int) -> None:
        """Send it a poll."""
        self.unkept.append(number)
        self._send(number)

    def _send(self, number: int) -> None:
        self.link.send(Kind.LAYOUT, LAYOUT.identifier, LAYOUT.packed)
        one = poll(number)
        self.link.send(Kind.POLL, number, one.layout_id, one.timestamp_ms, one.packed)

    def listen(self) -> None:
        """Take what it has reported."""
        for message in self.link.receive():
            if message[0] == Kind.KEPT and message[1]:
                self.unkept = [number for number in self.unkept if number > message[1]]
            if message[0] == Kind.UPLOAD:
                self.accounts = message[3]["outputs"]
                self.errors[message[1]] = message[2][3]

    def wait_for(self, what: str, *figures: int) -> None:
        """Wait until a figure of each output's account, in the order of the outputs, is this."""

        def reached() -> bool:
            self.listen()
            return [self.accounts[name][what] for name in self.ports if name in self.accounts] == [
                *figures
            ]

        wait_for(reached, what=f"{what} {figures}")

    def change(self, ports: Ports) -> None:
        """Have the running uploader serve other outputs."""
        self.ports = ports
        self.link.send(Kind.SETTINGS, 1, settings(self.home, ports).fields())

    @property
    def has_ended(self) -> bool:
        """Whether the uploader has ended by itself."""
        return bool(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    def is_seen(self, server: PattooServer, number: int) -> bool:
        """Whether a server has a poll, or the uploader has ended before."""
        return number in server.timestamps() or self.has_ended

    def kill(self) -> None:
        """End it as the kernel does."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def end(self) -> int:
        """Wait for its end. Return its exit status."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> int:
        """End it in order. Return its exit status."""
        self.link.send(Kind.CLOSE)
        return self.end()


@pytest.fixture
def control(
    home: Path, server: PattooServer, elsewhere: PattooServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Control]:
    """An uploader with the outputs `one` at `server` and `two` at `elsewhere`."""
    monkeypatch.setattr(Config, "outputs", property(outputs_of))
    monkeypatch.setattr(Config, "needs_tls", property(lambda _: False))
    started = Control(home, {"one": server.port, "two": elsewhere.port})
    yield started
    if started.pid:
        started.kill()


@pytest.fixture
def until() -> Iterator[threading.Event]:
    """Set at the end of the test: until then a server hangs."""
    event = threading.Event()
    yield event
    event.set()


def test_each_output_gets_every_poll_in_order(
    control: Control, server: PattooServer, elsewhere: PattooServer
) -> None:
    """And each account closes."""
    for number in range(1, 6):
        control.give(number)
    control.wait_for("delivered", 5, 5)
    assert server.timestamps() == elsewhere.timestamps() == [1, 2, 3, 4, 5]
    assert control.close() == 0


@pytest.mark.parametrize("how", ["hangs", "refuses", "is gone"])
def test_one_output_without_its_server_delays_the_other_by_no_poll(
    control: Control, server: PattooServer, elsewhere: PattooServer,
    until: threading.Event, how: str,
) -> None:  # fmt: skip
    """Each poll is at the other server before the next one is made."""
    if how == "is gone":
        server.down()
    else:
        server.behaviour = hanging(until) if how == "hangs" else answering(503)
    for number in range(1, 6):
        control.give(number)
        control.wait_for("delivered", 0, number)
        control.wait_for("waiting", number, 0)
    assert elsewhere.timestamps() == [1, 2, 3, 4, 5]
    assert server.timestamps() == []
    assert not control.errors["two"]


def test_no_poll_is_lost_to_kills_for_any_output(
    control: Control, server: PattooServer, elsewhere: PattooServer
) -> None:
    """The last posts may be sent twice; nothing is sent late, or not at all."""
    for number in range(1, 21):
        control.give(number)
        if number % 2:
            control.wait_for("kept", number, number)
        control.kill()
        control.start()
    control.wait_for("delivered", 20, 20)
    control.wait_for("waiting", 0, 0)
    for arrived in (server.timestamps(), elsewhere.timestamps()):
        assert list(dict.fromkeys(arrived)) == list(range(1, 21))
    assert control.close() == 0


def test_each_account_goes_on_over_a_change_and_a_restart(
    control: Control, server: PattooServer, elsewhere: PattooServer
) -> None:
    """An output that is added begins with the next poll; one that stays keeps its backlog."""
    elsewhere.down()
    control.give(1)
    control.wait_for("waiting", 0, 1)
    control.change({**control.ports, "three": server.port})
    control.wait_for("kept", 1, 1, 0)
    control.give(2)
    control.wait_for("delivered", 2, 0, 1)
    assert control.close() == 0
    control.start()
    control.wait_for("waiting", 0, 2, 0)
    elsewhere.up()
    control.change({"one": server.port, "two": elsewhere.port})
    control.wait_for("delivered", 2, 2)
    assert elsewhere.timestamps() == [1, 2]
    assert server.timestamps() == [1, 2, 2]


def test_a_thread_that_hangs_at_one_output_has_the_process_replaced(
    control: Control, server: PattooServer, elsewhere: PattooServer,
    until: threading.Event, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nothing else ends it. The other output has all polls until then, and goes on after it."""
    control.kill()
    server.behaviour = hanging(until)
    # Less than the time limit of a post, which a resolver does not keep.
    monkeypatch.setattr(uploading, "_POSTING_S", 2.0)
    control.start()
    number = 0
    while not control.has_ended:
        number += 1
        control.give(number)
        wait_for(partial(control.is_seen, elsewhere, number), what="a poll at the other output")
    assert control.end() == 1
    assert elsewhere.timestamps()
    assert server.timestamps() == []
    server.behaviour = well
    control.start()
    control.wait_for("delivered", number, number)
