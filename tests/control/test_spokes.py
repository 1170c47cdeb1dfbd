"""What control knows of a hub's spokes."""

from __future__ import annotations

from pattoo_mp.control.spokes import WORST, Spokes
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind, SpokeReport

FIGURES = {"late_p99_ms": 4.5}


def report(state: str = "well", since_ms: int = 5, **more: object) -> list[object]:
    """Return a report as a message has it."""
    values = {"kind": "", "agent_id": "", "hostname": "", "asked": 1, "failed": 0, "taken": 1}
    rest = {"left_out": 0, "repeated": 0, "missed": 0}
    return SpokeReport(state, since_ms, "why", **(values | rest | more)).fields()  # type: ignore[arg-type]


def test_the_worst_come_first_and_the_longest_of_them() -> None:
    """Refusing ones, then those that are away, then slow ones; at most 20."""
    spokes = Spokes()
    rows = {f"s{n:02}": report("slow", n) for n in range(30)}
    rows |= {
        "well": report(),
        "away": report("away", 9),
        "no": report("refusing", 99),
        "old": report("away", 3),
    }
    spokes.report(rows, FIGURES)
    found = spokes.summary(10)
    assert (found["count"], found["well"], found["slow"], found["away"], found["refusing"]) == (
        34,
        1,
        30,
        2,
        1,
    )
    assert [row["name"] for row in found["worst"]][:5] == ["no", "old", "away", "s00", "s01"]
    assert len(found["worst"]) == WORST
    assert found["lasting"] == 12
    assert found["late_p99_ms"] == 4.5


def test_counts_are_added_and_what_is_known_stays() -> None:
    """A new collector knows neither who a spoke is, nor since when it is in its state."""
    spokes = Spokes()
    spokes.report({"a": report("away", 5, agent_id="f" * 64, kind="page", missed=2)}, FIGURES)
    spokes.report({"a": report("away", 50, missed=1)}, FIGURES)
    (row,) = spokes.every()
    assert (row["since_ms"], row["agent_id"], row["kind"], row["asked"], row["missed"]) == (
        5,
        "f" * 64,
        "page",
        2,
        3,
    )
    spokes.report({"a": report("well", 70)}, FIGURES)
    assert spokes.every()[0]["since_ms"] == 70


def test_a_collector_is_told_the_newest_polls_first_and_then_what_is_stored() -> None:
    """The numbers count its own polls: those of an earlier one are below."""
    spokes = Spokes()
    ours, theirs = Link.pair()
    spokes.take_over({"a 1000": (5, 2), "b 1000": (7, 3)})
    spokes.note_poll("a 1000", 6)
    spokes.take_over({"a 1000": (5, 2)})  # a new uploader knows less
    spokes.stored(10)
    spokes.collector_started(12)
    spokes.confirm(ours)
    spokes.confirm(ours)
    spokes.stored(15)
    spokes.confirm(ours)
    assert theirs.receive() == [
        [Kind.GROUPS, {"a 1000": 6, "b 1000": 7}],
        [Kind.STORED, -2],
        [Kind.STORED, 3],
    ]


def test_the_ledger_by_spoke_has_the_polls_of_all_its_groups() -> None:
    """Across restarts: the spool knows them."""
    spokes = Spokes()
    spokes.take_over({"f 1000": (5, 2), "f 60000": (9, 3), "e 1000": (1, 1)})
    spokes.report({"a": report(agent_id="f")}, FIGURES)
    row = spokes.every()[0]
    assert (row["polls"], row["newest_ms"]) == (5, 9)


def test_a_target_that_is_gone_is_shown_no_more() -> None:
    """Its polls stay in the ledger."""
    spokes = Spokes()
    spokes.report({"a": report(), "b": report()}, FIGURES)
    spokes.forget(["a"], ["g"])
    assert [row["name"] for row in spokes.every()] == ["b"]
