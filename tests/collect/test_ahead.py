"""What the log says of polls with times that are to come."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pattoo_mp.collect.collector import Ahead

if TYPE_CHECKING:
    import pytest

NOON_MS = 1_714_996_800_000


def test_the_beginning_and_the_end_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Once each, however many polls there are between them."""
    caplog.set_level(logging.INFO)
    ahead = Ahead()
    for by_s in (0, 9, 3_600, 3_599, 11, 9, 0):
        ahead.look(NOON_MS + by_s * 1000, NOON_MS)
    assert caplog.messages == [
        "Polls carry times that are 60 min ahead of this host's clock, which was set back, or was "
        "wrong before.",
        "Polls carry the times of this host's clock again.",
    ]
