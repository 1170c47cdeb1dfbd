"""The answer of an agent of ours: what of it is believed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.spokes import pulled
from pattoo_mp.collect.spokes.exchange import AskError
from pattoo_mp.collect.spokes.pulled import LayoutMissingError
from pattoo_mp.model import Layout
from pattoo_mp.receiver.decode import decode_post
from pattoo_mp.wire.encode import encode

NOW = 1_796_000_385_196
AGENT = "70" * 32
LAYOUT: dict[str, Any] = {
    "agent_id": AGENT,
    "hostname": "web1",
    "program": "pattoo_agent_os_spoked",
    "interval_ms": 10_000,
    "series": [["load", 99, [["hostname", "web1"]]], ["read", 64, [["disk", "sd\udcff"]]]],
}


def answer(**changes: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return an answer with two polls, with changes at its top level."""
    content = {
        "version": 1,
        "agent": {"id": AGENT, "hostname": "web1"},
        "account": {
            "polled": 9, "delivered": 7, "waiting": 2, "quarantined": 0,
            "dropped": {"too old": 1}, "missed": {"late": 3},
        },
        "layouts": {"aa": LAYOUT},
        "polls": [[4, NOW - 20_000, "aa", [1, 2**63]], [5, NOW - 10_000, "aa", [2, None]]],
        "more": True,
    }  # fmt: skip
    return json.dumps(content | changes).encode()


def test_an_answer_gives_its_polls_in_order() -> None:
    """With their values, the layout as it came, and what is to be acknowledged."""
    found = pulled.read(answer(), NOW, {})
    assert [(poll.timestamp_ms, poll.values()) for poll in found.polls] == [
        (NOW - 20_000, [1, 2**63]),
        (NOW - 10_000, [2, None]),
    ]
    assert (found.up_to, found.more, found.agent_id) == (5, True, AGENT)
    assert found.account == (9, 7, 2, 0, 1, 3)
    layout = found.layouts["aa"]
    assert layout.series[1].metadata == (("disk", "sd\udcff"),)
    assert {poll.group for poll in found.polls} == {f"{AGENT} 10000"}
    assert type(layout).unpack(layout.packed) == layout


def test_a_known_layout_need_not_come_again() -> None:
    """The polls have the identifier that it has here."""
    first = pulled.read(answer(), NOW, {})
    again = pulled.read(answer(layouts={}), NOW, first.known)
    assert again.polls == first.polls
    assert not again.layouts


def test_a_divided_layout_is_read_as_a_whole() -> None:
    """Its series are those of its parts, one part after the other."""
    of = {key: value for key, value in LAYOUT.items() if key != "series"}
    parts = {
        "p1": of | {"series": LAYOUT["series"][:1]},
        "p2": of | {"series": LAYOUT["series"][1:]},
    }
    whole = parts | {"aa": of | {"parts": ["p1", "p2"]}}
    found = pulled.read(answer(layouts=whole), NOW, {})
    assert [series.key for series in found.layouts["aa"].series] == ["load", "read"]
    with pytest.raises(LayoutMissingError):  # the first part was left out as known
        pulled.read(
            answer(layouts={"aa": whole["aa"], "p2": parts["p2"]}),
            NOW,
            {"other": pulled.Known("x", 1, "g")},
        )


def test_a_small_answer_that_stands_for_gigabytes_is_refused() -> None:
    """A divided layout names one part again and again."""
    part = LAYOUT | {"series": [["load", 99, [["key", "x" * 1000]] * 200]]}
    whole = {"part": part, "aa": LAYOUT | {"parts": ["part"] * 100}}
    polls = [[4, NOW, "aa", [1] * 100]]
    with pytest.raises(AskError, match="too large once they are written out"):
        pulled.read(answer(layouts=whole, polls=polls), NOW, {})


def test_polls_with_ever_new_large_layouts_are_taken_in_several_answers() -> None:
    """Those that are left come with the next one."""
    part = LAYOUT | {"series": [["load", 99, [["key", "x" * 1000]] * 200]]}
    names = [f"l{number}" for number in range(20)]
    layouts = {name: LAYOUT | {"parts": ["part"] * (10 + n)} for n, name in enumerate(names)}
    polls = [[n + 1, NOW + n, name, [1] * (10 + n)] for n, name in enumerate(names)]
    content = answer(layouts=layouts | {"part": part}, polls=polls, more=False)
    found = pulled.read(content, NOW, {})
    assert 0 < len(found.polls) < len(polls)
    assert (found.more, found.up_to) == (True, len(found.polls))


def test_polls_of_the_future_stay_at_the_spoke() -> None:
    """What comes before them is taken."""
    polls = [[4, NOW, "aa", [1, 2]], [5, NOW + 3_600_000, "aa", [1, 2]]]
    found = pulled.read(answer(polls=polls), NOW, {})
    assert found.up_to == 4
    assert not found.more
    assert "ahead of this host's" in found.early


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "version"),
        (answer(version=2), "version"),
        (answer(agent=None), "who it is"),
        (answer(agent={"id": "a/b"}), "agent id"),
        (answer(layouts=[]), "no layouts"),
        (answer(polls=[[1, NOW, "aa", [1, 2]]] * 1001), "too many"),
        (answer(polls=[[1, NOW, "bb", [1, 2]]]), "lacks the layout"),
        (answer(polls=[[1, NOW, "aa", [1]]]), "1 values for 2"),
        (answer(polls=[[0, NOW, "aa", [1, 2]]]), "is none"),
        (answer(polls=[[2, NOW, "aa", [1, 2]], [2, NOW, "aa", [1, 2]]]), "out of order"),
        (answer(polls=[[2, -5, "aa", [1, 2]]]), "out of order"),
        (answer(polls=["x"]), "is none"),
        (answer(layouts={"a\r\nHost: x": LAYOUT}, polls=[[1, NOW, "a\r\nHost: x", [1, 2]]]), "bad identifier"),
        (answer(layouts={"a" * 65: LAYOUT}, polls=[[1, NOW, "a" * 65, [1, 2]]]), "bad identifier"),
        (answer(layouts={"aa": LAYOUT | {"hostname": ""}}), "origin"),
        (answer(layouts={"aa": LAYOUT | {"interval_ms": 0}}), "origin"),
        (answer(layouts={"aa": LAYOUT | {"agent_id": "../.."}}), "agent id"),
        (answer(layouts={"aa": LAYOUT | {"series": [["load", 7, []], ["b", 99, []]]}}), "bad series"),
        (answer(layouts={"aa": LAYOUT | {"series": [["load", 99, [["a", 1]]], ["b", 99, []]]}}), "bad series"),
        (answer(layouts={"aa": LAYOUT | {"series": [["\ud800", 99, []], ["b", 99, []]]}}), "bad series"),
    ],
)  # fmt: skip
def test_what_is_no_such_answer_is_refused(body: bytes, why: str) -> None:
    """Nothing of it is taken, and nothing acknowledged."""
    with pytest.raises(AskError, match=why):
        pulled.read(body, NOW, {})


@pytest.mark.parametrize("value", ["5", True, 1e30, [1], {}])
def test_a_value_that_is_no_number_is_left_out(value: object) -> None:
    """The rest of the poll is taken."""
    found = pulled.read(answer(polls=[[1, NOW, "aa", [value, 2]]]), NOW, {})
    assert found.polls[0].values() == [None, 2]
    assert found.left_out.total == 1


def paths(content: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    """Return the path of each part of a content."""
    keys = (
        content
        if isinstance(content, dict)
        else range(len(content))
        if isinstance(content, list)
        else ()
    )
    return [before, *(path for key in keys for path in paths(content[key], (*before, key)))]


PATHS = [path for path in paths(json.loads(answer())) if path]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=600) | st.just("\ud800") | st.just("\udc80"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=3))
@settings(deadline=None, max_examples=200)
def test_whatever_an_answer_holds_a_receiver_takes_what_is_made_of_it(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    """Parts of a good answer are replaced by anything: it is refused, or the posts are good."""
    content = json.loads(answer())
    for (*path, last), value in changes:
        at = content
        with contextlib.suppress(LookupError, TypeError):
            for key in path:
                at = at[key]
            at[last] = value
    try:
        found = pulled.read(json.dumps(content).encode(), NOW, {})
    except AskError:
        return
    layouts = {layout.identifier: layout for layout in found.layouts.values()}
    for poll in found.polls:
        Layout.unpack(layouts[poll.layout_id].packed)
        decode_post(encode(layouts, [poll], NOW))
