"""The answer of a status socket that somebody else made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.cli.status import as_line, as_text
from pattoo_mp.errors import StatusError
from pattoo_mp.operate.status_answer import check
from tests.support import statuses

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path("/run/x.sock")
MADE = (
    statuses.status, statuses.server_gone, statuses.draining, statuses.no_polls, statuses.much_trouble,
    statuses.cannot_post,
)  # fmt: skip
#: Values that no key of a status may have, or only some keys.
ODD: list[Any] = [
    None, True, "x\x1b[2J", -1, 10**300, 1e308, float("nan"), float("inf"), [], {}, [[1]], {"a": {}}, 2.5,
]  # fmt: skip


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 - JSON
    """Where a value, or one within it, can be replaced."""
    if at:
        yield at
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, each in inner:
        yield from places(each, (*at, name))


def replaced(status: dict[str, Any], at: tuple[str | int, ...], new: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A copy of `status` with another value in one place."""
    copy: Any = json.loads(json.dumps(status))
    inner = copy
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = new
    return dict(copy)


def refusal(status: dict[str, Any]) -> str:
    """The line by which a status is refused; empty if it passes, and then all that shows it works."""
    try:
        check(status, PATH)
    except StatusError as error:
        return str(error)
    assert as_text(status)
    assert as_line(status)
    return ""


@pytest.mark.parametrize("make", MADE)
def test_a_status_of_this_release_passes(make: Any) -> None:  # noqa: ANN401 - a function
    """With keys that a later release may add, too."""
    check({**make(), "unknown": [1, {"x": None}]}, PATH)


def test_one_wrong_value_is_named_or_can_be_shown() -> None:
    """Whatever it is, and wherever: one line, and no traceback in what shows it."""
    whole = statuses.much_trouble()
    refused = 0
    for at in places(whole):
        for odd in ODD:
            line = refusal(replaced(whole, at, odd))
            if line:
                refused += 1
                assert line.startswith("/run/x.sock: the status ")
                assert len(line.splitlines()) == 1
    assert refused > 1000


def test_the_key_is_named() -> None:
    """With what it holds, and what was expected."""
    status = replaced(statuses.status(), ("polls", "delivered"), "many")
    with pytest.raises(StatusError) as caught:
        check(status, PATH)
    assert str(caught.value) == (
        "/run/x.sock: the status is damaged: polls.delivered is 'many'; expected integer. Use --restart"
    )


@pytest.mark.parametrize("key", ["reload", "polls", "workers", "now_ms"])
def test_a_missing_key_is_named(key: str) -> None:
    """As of an agent of another release."""
    status = statuses.status()
    del status[key]
    with pytest.raises(StatusError, match=re.escape(f"the status has no {key}; expected ")):
        check(status, PATH)


@pytest.mark.parametrize("state", ["stopped", "silent", "unknown", "", 7, None])
def test_only_a_running_agent_answers(state: object) -> None:
    """Whatever it says."""
    with pytest.raises(StatusError, match="state is"):
        check({**statuses.status(), "state": state}, PATH)


@pytest.mark.parametrize("schema", [0, 2, "1", None, [1], 10**300])
def test_the_schema_of_another_release_is_named(schema: object) -> None:
    """What to do is in the same line."""
    with pytest.raises(StatusError, match=r"the status has schema .*; expected 1: .*--restart$"):
        check({**statuses.status(), "schema": schema}, PATH)


#: Any JSON of a few levels.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(list(places(statuses.much_trouble())))


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(PLACES, JSON), min_size=1, max_size=3))
def test_no_made_up_status_is_a_traceback(changes: list[tuple[Any, Any]]) -> None:
    """It is refused in one line, or shown."""
    status = statuses.much_trouble()
    for at, new in changes:
        try:
            status = replaced(status, at, new)
        except (KeyError, TypeError, IndexError):
            continue  # an earlier change has removed the place
    assert len(refusal(status).splitlines()) <= 1
