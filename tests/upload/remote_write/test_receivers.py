"""Delivery to the real Prometheus and VictoriaMetrics of Debian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Poll, Series
from pattoo_mp.upload.remote_write.message import Block, labels_of, request
from pattoo_mp.upload.remote_write.transport import RemoteWriteTransport, compressed
from tests.support.between import Between, Reply
from tests.support.prometheus import Store, prometheus, victoria_metrics
from tests.upload.remote_write.sending import (
    LAYOUT,
    PER_POLL,
    SERIES,
    SHORTER,
    STEP_MS,
    Sending,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.prometheus import Samples

WINDOWS = ["", "2h"]
INFO = "pattoo_host_info"


@pytest.fixture(params=WINDOWS, ids=["in_order", "out_of_order"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A Prometheus without, and one with, a window for samples that are out of order."""
    with prometheus(tmp_path / "prometheus", out_of_order=request.param) as store:
        yield store


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Store]:
    """A Prometheus that takes samples only in their order."""
    with prometheus(tmp_path / "prometheus") as store:
        yield store


@pytest.fixture
def between_any(receiver: Store) -> Iterator[Between]:
    """Something between the agent and `receiver`."""
    running = Between(receiver.port)
    yield running
    running.close()


@pytest.fixture
def between(strict: Store) -> Iterator[Between]:
    """Something between the agent and `strict`."""
    running = Between(strict.port)
    yield running
    running.close()


def expected(polls: list[Poll]) -> Samples:
    """Return what a receiver has of these polls of `LAYOUT`."""
    source = {"instance": "web1", "job": "pattoo_agent_os_autonomousd"}
    host = {"release": "6.1", "version": "#1", "type": "Linux", "cpus": "2"}
    samples: Samples = {}
    for poll in polls:
        time_ms = poll.timestamp_ms
        info = tuple(sorted({"__name__": INFO, **source, **host}.items()))
        samples.setdefault(info, []).append((time_ms, 1.0))
        for series, value in zip(SERIES, poll.values(), strict=True):
            own = dict(series.metadata[5:])
            labels = {"__name__": f"pattoo_{series.key}", **source, **own}
            assert value is not None
            samples.setdefault(tuple(sorted(labels.items())), []).append((time_ms, float(value)))
    return samples


def test_what_was_polled_is_there(tmp_path: Path, receiver: Store) -> None:
    """Each value of each poll, with its name, labels and time, and nothing else."""
    sending = Sending(tmp_path, receiver.url)
    polls = sending.fill(50)
    sending.drain()
    assert receiver.samples() == expected(polls)
    assert sending.account.delivered == 50


def test_what_was_polled_is_there_at_victoria_metrics(tmp_path: Path) -> None:
    """The same."""
    with victoria_metrics(tmp_path / "vm") as store:
        sending = Sending(tmp_path, store.url)
        polls = sending.fill(50)
        sending.drain()
        store.flush()
        found = store.exported('{__name__=~"pattoo.*"}')
        samples = {
            tuple(sorted(series["metric"].items())): list(
                zip(series["timestamps"], map(float, series["values"]), strict=True)
            )
            for series in found
        }
    whole = expected(polls)
    assert samples.keys() == whole.keys()
    for labels, of_series in whole.items():
        assert [t for t, _ in samples[labels]] == [t for t, _ in of_series]
        # It keeps twelve digits.
        values = [value for _, value in of_series]
        assert [value for _, value in samples[labels]] == pytest.approx(values, rel=1e-11)


def test_after_an_outage_all_arrive(tmp_path: Path) -> None:
    """In order, and nothing is lost or sent twice."""
    with prometheus(tmp_path / "prometheus") as store:
        sending = Sending(tmp_path, store.url)
        polls = sending.fill(30)
        sending.drain()
    polls += sending.fill(300)
    assert sending.attempt().error
    with prometheus(tmp_path / "prometheus", store.port) as store:
        sending.drain()
        assert store.samples() == expected(polls)
    assert sending.account.delivered == 330


def test_a_lost_answer_costs_no_poll(tmp_path: Path, receiver: Store, between_any: Between) -> None:
    """The receiver has stored the request; the polls that came since arrive, each once."""
    between = between_any
    sending = Sending(tmp_path, between.url)
    polls = sending.fill(40)
    between.after = lambda _body, _reply: Reply(0)
    assert sending.attempt().error
    between.after = lambda _body, reply: reply
    polls += sending.fill(20)
    sending.drain()
    assert receiver.samples() == expected(polls)
    account = sending.account
    assert (account.delivered, account.dropped.total()) == (60, 0)
    assert len(between.bodies) < 20


def test_a_new_process_finds_what_the_one_before_has_sent(
    tmp_path: Path, receiver: Store, between_any: Between
) -> None:
    """The uploader was killed before it could note the answer."""
    between = between_any
    sending = Sending(tmp_path, between.url)
    polls = sending.fill(40)
    between.after = lambda _body, _reply: Reply(0)
    assert sending.attempt().error
    between.after = lambda _body, reply: reply
    sending.reconnect(between.url)
    sending.drain()
    assert receiver.samples() == expected(polls)
    assert (sending.account.delivered, sending.account.dropped.total()) == (40, 0)


def test_a_receiver_that_has_half_of_a_backlog(
    tmp_path: Path, receiver: Store, between_any: Between
) -> None:
    """It takes few requests, and everything counts as delivered."""
    between, strict = between_any, receiver
    sending = Sending(tmp_path, strict.url)
    sending.start_ms -= 3_000_000
    sending.fill(36_000)
    while sending.account.delivered < 18_000:
        assert not sending.attempt().error
    stored = sending.account.delivered
    (tmp_path / "again").mkdir()
    again = Sending(tmp_path / "again", between.url)
    again.start_ms = sending.start_ms
    again.fill(36_000)
    again.drain()
    account = again.account
    assert (account.delivered, account.dropped.total()) == (36_000, 0)
    assert stored < 36_000
    assert len(between.bodies) < 120
    for name in (INFO, "pattoo_load", "pattoo_temperature"):
        (series,) = strict.query(f"count_over_time({name}[2h])")
        assert series["value"][1] == "36000"


def test_polls_that_another_sender_has_overtaken_are_dropped(
    tmp_path: Path, between: Between
) -> None:
    """The receiver has later samples of the series, which are not ours: it will never take these."""
    other = Sending(tmp_path, between.url)
    start_ms = other.start_ms
    other.start_ms += 2050 * STEP_MS + 50
    other.fill(1)
    other.drain()
    (tmp_path / "ours").mkdir()
    sending = Sending(tmp_path / "ours", between.url)
    sending.start_ms = start_ms
    sending.fill(2100)
    sending.drain()
    account = sending.account
    assert account.dropped == {"refused by the receiver: out of order sample": 2051}
    assert account.delivered == 49


def test_polls_older_than_the_receivers_head_are_dropped(tmp_path: Path, receiver: Store) -> None:
    """With its words as the reason; the later ones arrive."""
    now = Sending(tmp_path, receiver.url)
    now.fill(10)
    now.drain()
    (tmp_path / "old").mkdir()
    old = Sending(tmp_path / "old", receiver.url)
    old.start_ms -= 86_400_000
    old.fill(25)
    old.start_ms += 86_400_000
    polls = old.fill(30)
    old.drain()
    (reason,) = old.account.dropped
    assert reason in {
        "refused by the receiver: out of bounds",
        "refused by the receiver: too old sample",
    }
    assert (old.account.delivered, old.account.dropped[reason]) == (30, 25)
    assert polls[-1].timestamp_ms in dict(receiver.samples(INFO)[_info(receiver)])


@pytest.mark.parametrize(("window", "dropped"), [("", 10), ("2h", 0)])
def test_the_first_agent_after_an_outage_decides_what_prometheus_takes(
    tmp_path: Path, window: str, dropped: int
) -> None:
    """Without a window, that is an hour before the newest sample of all senders (docs/fleet.md)."""
    with prometheus(tmp_path / "prometheus", out_of_order=window) as store:
        sending = Sending(tmp_path, store.url)
        newest_ms = sending.start_ms
        another = Block((newest_ms,), [(labels_of({"__name__": "another"}), (1.0,))])
        post = RemoteWriteTransport(store.url).post("", compressed(request([another])))
        assert post.delivered
        sending.start_ms = newest_ms - 61 * 60_000
        sending.fill(10)
        sending.start_ms = newest_ms - 59 * 60_000
        sending.fill(10)
        sending.drain()
    reason = "refused by the receiver: out of bounds"
    assert sending.account.dropped[reason] == sending.account.dropped.total() == dropped
    assert sending.account.delivered == 20 - dropped


def test_polls_that_are_too_old_there_already_and_new(tmp_path: Path, strict: Store) -> None:
    """All in one request: each kind is told from the others."""
    now = Sending(tmp_path, strict.url)
    now.fill(20)
    now.drain()
    (tmp_path / "again").mkdir()
    again = Sending(tmp_path / "again", strict.url)
    again.start_ms = now.start_ms - 86_400_000
    again.fill(25)
    again.start_ms = now.start_ms - 25 * STEP_MS
    polls = again.fill(35)
    again.drain()
    account = again.account
    assert account.dropped == {"refused by the receiver: out of bounds": 25}
    assert account.delivered == 35
    (info,) = strict.samples(INFO).values()
    assert [time_ms for time_ms, _ in info] == [poll.timestamp_ms for poll in polls]


def test_many_bad_series(tmp_path: Path, strict: Store, between: Between) -> None:
    """The number of requests is bounded, the good series arrive, and the bad ones once they can."""
    series = tuple(Series(f"n{number}", INTEGER, SERIES[0].metadata) for number in range(200))
    layout = Layout(LAYOUT.origin, STEP_MS, series)
    sending = Sending(tmp_path, between.url)
    later_ms = sending.start_ms + 30 * STEP_MS + 1
    source = {"instance": "web1", "job": "pattoo_agent_os_autonomousd"}
    bad = [labels_of({"__name__": f"pattoo_n{number}", **source}) for number in range(0, 200, 5)]
    message = request([Block((later_ms,), [(labels, (5.0,)) for labels in bad])])
    assert RemoteWriteTransport(strict.url).post("", compressed(message)).delivered

    def fill(first: int, last: int) -> None:
        numbers = range(first, last)
        times = [sending.start_ms + STEP_MS * n for n in numbers]
        sending.append(
            [
                Poll.of(layout, time_ms, [n] * 200)
                for n, time_ms in zip(numbers, times, strict=True)
            ],
            layout,
        )
        sending.drain()

    fill(0, 20)
    assert len(between.bodies) < 600
    fill(20, 40)
    fill(40, 60)
    assert sending.account.delivered == 60
    for number in range(200):
        (samples,) = strict.samples(f"pattoo_n{number}").values()
        assert samples[-1] == (sending.start_ms + 59 * STEP_MS, 59)
        if number % 5:
            assert len(samples) == 60, f"pattoo_n{number}"
    before = len(between.bodies)
    fill(60, 70)
    assert len(between.bodies) == before + 1


def _info(store: Store) -> tuple[tuple[str, str], ...]:
    return next(iter(store.samples(INFO)))


def test_a_bad_series_among_good_ones(tmp_path: Path, strict: Store, between: Between) -> None:
    """Its samples are refused and counted; all others of the same polls arrive."""
    sending = Sending(tmp_path, between.url)
    bad = labels_of(
        {"__name__": "pattoo_load", "instance": "web1", "job": "pattoo_agent_os_autonomousd"}
    )
    later_ms = sending.start_ms + 60 * STEP_MS + 1
    message = request([Block((later_ms,), [(bad, (5.0,))])])
    assert RemoteWriteTransport(strict.url).post("", compressed(message)).delivered
    polls = sending.fill(50)
    sending.drain()
    polls += sending.fill(50)
    sending.drain()
    found = strict.samples('{__name__=~"pattoo.*",__name__!="pattoo_load"}')
    whole = expected(polls)
    assert found == {k: v for k, v in whole.items() if ("__name__", "pattoo_load") not in k}
    ((_, load),) = strict.samples("pattoo_load").items()
    assert load == [(later_ms, 5.0)] + [
        (poll.timestamp_ms, float(values_of(n)[0] or 0))
        for n, poll in enumerate(polls)
        if poll.timestamp_ms > later_ms
    ]
    assert (sending.account.delivered, sending.account.dropped.total()) == (100, 0)
    assert len(between.bodies) < 60
    more = len(between.bodies)
    sending.fill(10)
    sending.drain()
    assert len(between.bodies) - more == 1, "the series is no suspect any more"


def test_a_series_that_ends_has_no_value_any_more(tmp_path: Path, receiver: Store) -> None:
    """At once, and not after five minutes; a series that comes back has values again."""
    sending = Sending(tmp_path, receiver.url)
    first = sending.fill(20)
    second = sending.fill(20, SHORTER)
    sending.drain()
    assert _is_there(receiver, first[-1])
    assert not _is_there(receiver, second[0])
    assert not _is_there(receiver, second[-1])
    third = sending.fill(5)
    sending.drain()
    assert _is_there(receiver, third[0])
    sending.fill(5, SHORTER)
    last = sending.fill(5)
    sending.drain()
    assert _is_there(receiver, last[-1])
    assert len(receiver.query("pattoo_load[30d]")[0]["values"]) == 55


def _is_there(store: Store, poll: Poll) -> bool:
    found = store.query("pattoo_temperature", time=f"{poll.timestamp_ms / 1000:.3f}")
    return bool(found)


def test_polls_of_two_intervals(tmp_path: Path, strict: Store) -> None:
    """They have different series, and come at the same times now and then."""
    slow = Layout(LAYOUT.origin, 1000, (Series("disk_used", INTEGER, SERIES[0].metadata),))
    sending = Sending(tmp_path, strict.url)
    start = sending.start_ms
    polls = []
    for number in range(45):
        polls.append(Poll.of(LAYOUT, start + STEP_MS * number, values_of(number)))
        if number % 10 == 0:
            polls.append(Poll.of(slow, start + STEP_MS * number, [number]))
    sending.append(polls[:30], LAYOUT, slow)
    sending.drain()
    sending.append(polls[30:], LAYOUT, slow)
    sending.drain()
    found = strict.samples()
    fast = expected([poll for poll in polls if poll.layout_id == LAYOUT.identifier])
    assert {labels: samples for labels, samples in found.items() if labels in fast} == fast
    (of_slow,) = [s for labels, s in found.items() if ("__name__", "pattoo_disk_used") in labels]
    assert of_slow == [(start + 1000 * n, 10.0 * n) for n in range(5)]


def test_the_layout_has_what_the_tests_expect() -> None:
    """Each series of `LAYOUT` has its own labels."""
    assert len({(s.key, s.metadata) for s in LAYOUT.series}) == PER_POLL - 1
