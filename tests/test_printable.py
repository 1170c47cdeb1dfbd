"""Text of somebody else's, shown."""

from __future__ import annotations

import pytest

from pattoo_mp.util.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/a b é", "/srv/a b é"),
        ("a\nb\x1b[2J", r"a\nb\x1b[2J"),
        ("\udcff\u2028", r"\udcff\u2028"),
    ],
)
def test_a_text_is_one_line_that_a_terminal_does_not_act_on(text: str, shown: str) -> None:
    """What is no letter is told by its number, and so is what was no text."""
    assert printable(text) == shown
