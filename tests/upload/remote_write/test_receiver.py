"""What is known of a receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import snappy

from pattoo_mp.model import Poll
from pattoo_mp.upload.remote_write.naming import PattooNaming
from pattoo_mp.upload.remote_write.receiver import Receiver, Refusals
from pattoo_mp.upload.remote_write.samples import Batch
from tests.support.remote_write import decoded, fields
from tests.upload.remote_write.sending import LAYOUT, output, values_of

if TYPE_CHECKING:
    import pytest

LAYOUTS = {LAYOUT.identifier: LAYOUT}
METADATA = 3


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


def test_metadata_goes_with_the_first_request_and_once_an_hour() -> None:
    """It goes again with each request until one is accepted."""
    clock = Clock()
    receiver = Receiver(PattooNaming(output("http://x")), "http://x", clock)
    poll = Poll.of(LAYOUT, 1, values_of(1))

    def has_metadata() -> bool:
        body = bytes(snappy.uncompress(receiver.body(LAYOUTS, [poll])))
        return METADATA in dict(fields(body))

    assert has_metadata()
    assert has_metadata()
    receiver.note_sent(Batch([poll], LAYOUTS))
    clock.now += 3599
    assert not has_metadata()
    clock.now += 1
    assert has_metadata()


def test_suspects_are_left_out() -> None:
    """And are in a message of their own."""
    receiver = Receiver(PattooNaming(output("http://x")), "http://x")
    batch = Batch([Poll.of(LAYOUT, 1, values_of(1))], LAYOUTS)
    whole = decoded(bytes(snappy.uncompress(receiver.body(LAYOUTS, batch.polls))))
    suspect = receiver.encoder.rows(LAYOUT).labels[1]
    assert suspect is not None
    receiver.suspects.add(suspect)
    rest = decoded(bytes(snappy.uncompress(receiver.body(LAYOUTS, batch.polls))))
    (block,) = receiver.blocks_of_suspects(batch)
    assert block.series == [suspect]
    assert len(rest) == len(whole) - 1


def test_refusals_are_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """With the number of each reason since the last line."""
    clock = Clock()
    refusals = Refusals("http://x", clock)
    refusals.note("out of order sample", 1)
    refusals.note("out of order sample", 5)
    refusals.note("out of bounds", 2)
    assert caplog.text.count("refused single samples") == 1
    clock.now += 3600
    refusals.note("out of order sample", 1)
    assert "at least 6 (out of order sample); at least 2 (out of bounds)" in caplog.text
    assert refusals.samples == {"out of order sample": 7, "out of bounds": 2}


def test_reasons_without_end_are_counted_as_other_ones() -> None:
    """A receiver that names the sample has other words in each answer. They take no memory."""
    refusals = Refusals("http://x", Clock())
    for number in range(1000):
        refusals.note(f"the sample {number} is too old", 2)
    assert sum(refusals.samples.values()) == 2000
    assert len(refusals.samples) == 21
    assert refusals.samples["other reasons"] == 1960
