"""The spool: damaged files, and layouts and polls of any bytes."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import TYPE_CHECKING
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.control.ledger import Ledger
from pattoo_mp.errors import WireError
from pattoo_mp.model import FLOAT, Layout, Origin, Poll, Series, part_identifiers
from pattoo_mp.spool.account import AccountCopy, SpoolState
from pattoo_mp.wire.encode import encode
from tests.fuzz.drawing import bounded, fuzz, mutated
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, poll
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.wire.posts import document

if TYPE_CHECKING:
    from pathlib import Path

METADATA = (("disk", "sda"), ("hostname", "h"))
SAMPLE = Layout(Origin("a" * 64, "h"), 1000, (Series("load", FLOAT, METADATA), Series("n", FLOAT)))
DIVIDED = Layout.of_parts([SAMPLE, LAYOUT])


@fuzz
@given(mutated((SAMPLE.packed, LAYOUT.packed, DIVIDED.packed)))
def test_a_layout_of_any_bytes_is_read_or_refused(packed: bytes) -> None:
    """The only error is a WireError, and what is read can be posted."""
    with bounded():
        try:
            layout = Layout.unpack(packed)
        except WireError:
            layout = LAYOUT
        with contextlib.suppress(WireError):
            part_identifiers(packed)
        polled = Poll.of(layout, 1000, [1.5] * len(layout.series))
        if layout.series:
            document(encode({layout.identifier: layout}, [polled], 7))


@fuzz
@given(mutated((Poll.of(SAMPLE, 1, [1.5, 2**60]).packed, Poll.of(SAMPLE, 1, [None, -1]).packed)))
def test_values_of_any_bytes_are_posted_or_refused(packed: bytes) -> None:
    """The post is strict JSON; values that are no numbers are left out."""
    polled = Poll(SAMPLE.identifier, 1000, packed)
    with bounded():
        try:
            body = encode({SAMPLE.identifier: SAMPLE}, [polled], 7)
        except WireError:
            return
    document(body)


LEDGER = Ledger(1000)
for _at_ms, _why in ((1000, ""), (4000, "late"), (9000, "clock set forward or host suspended")):
    LEDGER.poll(_at_ms, _why, 1000)
BOOKS = (
    LEDGER.snapshot().encode(),
    b'{"missed": {"x": 1e999}, "gaps": [], "pauses": [[1, 1e999, "x"]]}',
)


@fuzz
@given(mutated(BOOKS), st.sampled_from((0, 4000, 2**62)))
def test_a_book_of_an_earlier_agent_is_taken_over_or_not(text: bytes, newest_ms: int) -> None:
    """The ledger goes on, and a status and the next book can be made of it."""
    ledger = Ledger(1000)
    book = text.decode("utf-8", "replace")
    with bounded():
        ledger.update_account(SpoolState(book=book, newest_ms=newest_ms))
        ledger.poll(20_000, "why", 1000)
        assert json.loads(ledger.snapshot())
    assert all(isinstance(gap.ticks, int) for gap in ledger.gaps)


@fuzz
@given(content=st.binary(max_size=10) | mutated((b'{"dropped": "{\\"x\\": 1e999}", "kept": 7}',)))
def test_a_copy_of_the_account_is_read_or_not(tmp_path: Path, content: bytes) -> None:
    """Also with the right length and checksum."""
    path = tmp_path / "copy"
    path.write_bytes(struct.pack(">II", len(content), crc32(content)) + content)
    with bounded():
        state = AccountCopy(path).read()
    assert state is None or isinstance(state, SpoolState)


@fuzz
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)),
        max_size=30,
    ),
    share=st.sampled_from((1.0, 1.0, 1.0, 0.999, 0.5, 0.01)),
    is_journal=st.booleans(),
)
def test_a_damaged_spool_goes_on(
    tmp_path: Path, changes: list[tuple[float, bytes]], share: float, is_journal: bool
) -> None:
    """It opens, returns polls that it was given, and takes new ones."""
    for file in tmp_path.iterdir():
        file.unlink()
    path = tmp_path / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 60)
    wal = path.with_name("spool.sqlite-wal").read_bytes() if is_journal else b""
    spool.close()
    target = path.with_name("spool.sqlite-wal") if is_journal else path
    content = bytearray(wal or path.read_bytes())
    for where, new in changes:
        begin = int(where * len(content))
        content[begin : begin + len(new)] = new
    target.write_bytes(content[: int(len(content) * share)])
    with bounded():
        spool = open_spool(path, AMPLE)
        for spooled in spool.oldest(OUTPUT, EVERYTHING):
            assert spooled.poll == poll(spooled.poll.timestamp_ms)
        spool.append([(1, poll(10_000))], LAYOUTS, "another")
        assert spool.oldest(OUTPUT, EVERYTHING)[-1].poll == poll(10_000)
        assert spool.layout(LAYOUT.identifier) == LAYOUT
        spool.close()
