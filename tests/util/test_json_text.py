"""JSON from outside: its depth and memory are bounded, and all that is wrong with it is a ValueError."""

from __future__ import annotations

import json

import pytest

from pattoo_mp.util import json_text


@pytest.mark.parametrize(
    "text", ["", "{", "nope", b"\xff", "[" * 65_000, '{"a":' * 65_000, "1" * 5_000]
)
def test_what_is_wrong_is_a_value_error(text: str | bytes) -> None:
    """Nothing else, whatever the library raises."""
    with pytest.raises(ValueError):  # noqa: PT011 - its message is the library's
        json_text.parse(text)


@pytest.mark.parametrize(("depth", "is_fine"), [(50, True), (51, False)])
def test_the_depth_is_bounded(depth: int, *, is_fine: bool) -> None:
    """The limit itself is allowed."""
    text = "[" * depth + "0" + "]" * depth
    if is_fine:
        assert json_text.parse(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match="more than 50 levels"):
            json_text.parse(text)


@pytest.mark.parametrize("piece", ["[]", "{}", "[0]"])
def test_lists_that_take_much_more_memory_than_text_are_refused(piece: str) -> None:
    """They are counted before anything is made of them."""
    text = f"[{','.join([piece] * 100_000)}]"
    with pytest.raises(ValueError, match="empty lists"):
        json_text.parse(text)
    with pytest.raises(ValueError, match="empty lists"):
        json_text.parse(text.encode())


def test_a_few_empty_lists_are_fine() -> None:
    """A status has some."""
    assert json_text.parse(json.dumps([[]] * 500)) == [[]] * 500


def test_literals_that_are_no_json_are_given_to_the_caller() -> None:
    """Who may refuse them."""
    assert json_text.parse("[NaN]", constant=str) == ["NaN"]
