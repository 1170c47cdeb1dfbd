"""Remote write from a hub: a request has the polls of many spokes, each with the labels of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import snappy

from pattoo_mp.model import Layout, Origin, Poll, group_of
from tests.support.between import Between, Reply
from tests.support.remote_write import decoded
from tests.upload.remote_write.sending import SERIES, Sending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPOKES = [Origin(letter * 64, f"web{letter}", "pattoo_agent_os_spoked") for letter in "abc"]
LAYOUTS = [Layout(origin, 1000, SERIES[:2], (), compressed=True) for origin in SPOKES]


@pytest.fixture
def taking() -> Iterator[Between]:
    """A receiver that takes everything until a test says otherwise."""
    running = Between()
    yield running
    running.close()


def fill(sending: Sending, *polls: tuple[int, int]) -> None:
    """Put polls into the spool: each is the number of a spoke, and how many seconds after the start."""
    made = []
    for spoke, second in polls:
        time_ms = sending.start_ms + 1000 * second
        poll = Poll.of(LAYOUTS[spoke], time_ms, [second, second])
        group = group_of(SPOKES[spoke].agent_id, 1000)
        made.append(Poll(poll.layout_id, time_ms, poll.packed, group))
    sending.append(made, *LAYOUTS)


def loads(body: bytes) -> dict[tuple[str, str], int]:
    """Return how many samples of the first series each host and program has in a request."""
    found = {}
    for labels, samples in decoded(bytes(snappy.uncompress(body))).items():
        named = dict(labels)
        if named["__name__"] == "pattoo_load":
            found[named["instance"], named["job"]] = len(samples)
    return found


def test_one_request_has_many_spokes(tmp_path: Path, taking: Between) -> None:
    """The instance is the spoke's host, the job its program."""
    sending = Sending(tmp_path, taking.url, of_spokes=True)
    fill(sending, (0, 1), (1, 1), (0, 2), (2, 1))
    attempts = sending.drain()
    assert len(attempts) == 1
    program = "pattoo_agent_os_spoked"
    assert loads(taking.bodies[0]) == {
        ("weba", program): 2,
        ("webb", program): 1,
        ("webc", program): 1,
    }
    assert sending.account.delivered == 4


def test_a_refused_poll_of_one_spoke_costs_no_other(tmp_path: Path, taking: Between) -> None:
    """A request that is refused as a whole is halved until the poll is alone; it is dropped and counted."""
    taken: list[bytes] = []

    def refuse(body: bytes) -> Reply | None:
        if ("webb", "pattoo_agent_os_spoked") in loads(body):
            return Reply(400, b"out of order sample")
        taken.append(body)
        return None

    taking.before = refuse
    sending = Sending(tmp_path, taking.url, of_spokes=True)
    fill(sending, (0, 1), (2, 1), (1, 1), (0, 2), (2, 2))
    sending.drain()
    found = [loads(body) for body in taken]
    for host in ("weba", "webc"):
        assert sum(each.get((host, "pattoo_agent_os_spoked"), 0) for each in found) == 2
    account = sending.account
    assert account.delivered + account.dropped.total() + account.quarantined == 5
