"""The spool's interface, on real files."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import SpoolError, WireError
from pattoo_mp.model import Layout, Poll
from pattoo_mp.spool.store import Spool, StorageError
from tests.spool.polls import LAYOUT, LAYOUTS, OTHER, fill, poll, polls, times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    """A new spool."""
    opened = open_spool(path, AMPLE)
    yield opened
    opened.close()


def quarantine(path: Path) -> list[tuple[int, str]]:
    """Return times and reasons of quarantined polls, read directly from the file."""
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT timestamp_ms, reason FROM quarantine").fetchall()


# --- polls in and out


def test_polls_come_out_as_they_went_in_oldest_first(spool: Spool) -> None:
    """Order, times and values are kept; `oldest` removes nothing."""
    assert fill(spool, 1, 3) == 3
    for _ in range(2):
        assert [s.poll for s in spool.oldest(OUTPUT, 2)] == [poll(1), poll(2)]
    assert spool.account(OUTPUT).waiting == 3


def test_a_poll_older_than_one_before_it_is_dropped(spool: Spool) -> None:
    """The server would silently drop it, so it is never sent."""
    assert spool.append([(1, poll(100)), (2, poll(50)), (3, poll(100))], LAYOUTS, "c") == 3
    assert times(spool) == [100, 100]
    assert spool.account(OUTPUT).dropped == {"older than a poll before it": 1}


def test_acknowledge_removes_up_to_the_id(spool: Spool) -> None:
    """It returns how many polls were removed."""
    fill(spool, 1, 5)
    third = spool.oldest(OUTPUT, 3)[-1]
    assert spool.acknowledge(OUTPUT, third.id) == 3
    assert (times(spool), spool.account(OUTPUT).waiting) == ([4, 5], 2)
    assert spool.acknowledge(OUTPUT, third.id) == 0
    assert spool.account(OUTPUT).waiting == 2


def test_an_id_is_never_given_again(path: Path) -> None:
    """Polls stored after the spool was emptied and reopened have greater ids."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    last = spool.oldest(OUTPUT, 3)[-1].id
    spool.acknowledge(OUTPUT, last)
    spool.close()
    spool = open_spool(path, AMPLE)
    fill(spool, 4, 4)
    assert spool.oldest(OUTPUT, 1)[0].id > last
    spool.close()


def test_nothing_to_append_is_no_error(spool: Spool) -> None:
    """An empty batch changes nothing."""
    assert spool.append([], {}, "c") == 0
    assert spool.oldest(OUTPUT, 10) == []


def test_the_count_is_right_while_two_threads_use_the_spool(spool: Spool) -> None:
    """One thread stores and another delivers, as in the uploader; no update is lost."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    keeping = threading.Thread(target=lambda: [fill(spool, n, n) for n in range(1, 301)])
    keeping.start()
    try:
        delivered = 0
        while keeping.is_alive():
            delivered += spool.acknowledge(
                OUTPUT, max((s.id for s in spool.oldest(OUTPUT, 2)), default=0)
            )
    finally:
        keeping.join()
        sys.setswitchinterval(switching)
    assert spool.account(OUTPUT).waiting == len(times(spool)) == 300 - delivered


# --- polls stored twice


def test_a_stored_sequence_number_is_skipped(spool: Spool) -> None:
    """A batch that is repeated after a crash is stored once, including its new part."""
    assert fill(spool, 1, 3) == 3
    assert fill(spool, 2, 5) == 2
    assert fill(spool, 1, 5) == 0
    assert (times(spool), spool.account(OUTPUT).waiting) == ([1, 2, 3, 4, 5], 5)


def test_a_delivered_sequence_number_is_skipped(spool: Spool) -> None:
    """Delivered polls are not stored again."""
    fill(spool, 1, 3)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 3)[-1].id)
    assert fill(spool, 1, 4) == 1
    assert times(spool) == [4]


def test_a_sequence_number_is_skipped_after_reopening(path: Path) -> None:
    """The successor of an uploader that died before its acknowledgement stores nothing twice."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    spool.close()
    spool = open_spool(path, AMPLE)
    assert fill(spool, 1, 4) == 1
    assert times(spool) == [1, 2, 3, 4]
    spool.close()


def test_another_channel_starts_a_new_sequence(spool: Spool) -> None:
    """A new control process counts from 1 again, and its polls are stored."""
    fill(spool, 1, 3, "old")
    assert spool.append([(1, poll(4)), (2, poll(5))], LAYOUTS, "new") == 2
    assert times(spool) == [1, 2, 3, 4, 5]


# --- layouts


def test_layouts_are_stored(path: Path) -> None:
    """A poll of an earlier run can be read, as its layout is stored with it."""
    spool = open_spool(path, AMPLE)
    spool.append([(1, poll(1)), (2, poll(2, OTHER))], LAYOUTS, "c")
    spool.close()
    spool = open_spool(path, AMPLE)
    read = [spool.layout(s.poll.layout_id) for s in spool.oldest(OUTPUT, 2)]
    assert read == [LAYOUT, OTHER]
    assert [layout.series for layout in read] == [LAYOUT.series, OTHER.series]
    spool.close()


def test_a_layout_is_given_once(spool: Spool) -> None:
    """Later polls need no layout, even if the spool was empty in between."""
    fill(spool, 1, 1)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 1)[-1].id)
    assert spool.append(polls(2, 2), {}, "c") == 1
    assert spool.layout(spool.oldest(OUTPUT, 1)[0].poll.layout_id) == LAYOUT


def test_unused_layouts_are_removed(spool: Spool, path: Path) -> None:
    """A host that changes for years does not fill the disk with old layouts."""
    for number in range(1, 30):
        layout = Layout(LAYOUT.origin, 1000 + number, LAYOUT.series)
        packed = {layout.identifier: layout.packed}
        spool.append([(number, poll(number, layout))], packed, "c")
        spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 1)[-1].id)
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM layouts").fetchone()
    assert count <= 2


def test_the_layout_of_a_poll_in_quarantine_is_kept(spool: Spool, path: Path) -> None:
    """Without it the quarantined poll could not be read."""
    spool.append([(1, poll(1, OTHER))], LAYOUTS, "c")
    spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "why")
    fill(spool, 2, 2)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 1)[0].id)
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT identifier FROM quarantine JOIN layouts ON layouts.id = quarantine.layout"
        ).fetchall()
    assert rows == [(OTHER.identifier,)]


def test_a_damaged_layout_is_a_wire_error(spool: Spool) -> None:
    """It differs from a failing disk, as another attempt cannot read it either."""
    spool.append([(1, Poll("damaged", 1, b""))], {"damaged": b"\xc1"}, "c")
    with pytest.raises(WireError):
        spool.layout("damaged")


# --- envelopes


def test_envelope_times_are_unique_and_grow(spool: Spool) -> None:
    """It is the clock's time if possible, otherwise the last one plus 1 ms."""
    assert [spool.next_envelope_ms(OUTPUT, now) for now in (100, 100, 50, 102, 200)] == [
        100, 101, 102, 103, 200,
    ]  # fmt: skip


def test_envelope_times_grow_across_reopening(path: Path) -> None:
    """A clock set back while the agent was down repeats no timestamp."""
    spool = open_spool(path, AMPLE)
    assert spool.next_envelope_ms(OUTPUT, 1000) == 1000
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.next_envelope_ms(OUTPUT, 10) == 1001
    spool.close()


def test_append_may_reserve_the_time_of_the_next_post(path: Path) -> None:
    """It is stored with them and handed out once; after a restart it is skipped."""
    spool = open_spool(path, AMPLE)
    before = spool.next_envelope_ms(OUTPUT, 500)
    spool.append(polls(1, 2), LAYOUTS, "c", now_ms=1000)
    assert [spool.next_envelope_ms(OUTPUT, now) for now in (1000, 1000)] == [1000, 1001]
    spool.append(polls(3, 4), LAYOUTS, "c", now_ms=before)  # the clock was set back
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.next_envelope_ms(OUTPUT, before) == 1003
    spool.close()


def test_a_reserved_time_is_not_used_after_a_later_one(spool: Spool) -> None:
    """Each timestamp is greater than all before it."""
    spool.append(polls(1, 2), LAYOUTS, "c", now_ms=1000)
    spool.append(polls(3, 4), LAYOUTS, "c", now_ms=900)
    assert [spool.next_envelope_ms(OUTPUT, now) for now in (800, 900, 2000)] == [
        1001,
        1002,
        2000,
    ]


# --- quarantine


def test_set_aside_moves_one_poll_into_quarantine(spool: Spool, path: Path) -> None:
    """It no longer waits, is counted, and stays on disk with its reason. The others still wait."""
    fill(spool, 1, 3)
    spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 2)[1].id, "cannot be read")
    assert (times(spool), spool.account(OUTPUT).waiting, spool.account(OUTPUT).quarantined) == (
        [1, 3],
        2,
        1,
    )
    assert quarantine(path) == [(2, "cannot be read")]


# --- the file


def test_reopening_keeps_everything(path: Path) -> None:
    """Polls, counts and quarantine are the same after a close."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 4)
    spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "why")
    spool.close()
    spool = open_spool(path, AMPLE)
    assert (times(spool), spool.account(OUTPUT).waiting, spool.account(OUTPUT).quarantined) == (
        [2, 3, 4],
        3,
        1,
    )
    spool.close()


def test_spool_files_are_private(home: Path, path: Path) -> None:
    """The spool, its journal and its lock have mode 0600, whatever the umask is."""
    umask = os.umask(0)
    try:
        spool = open_spool(path, AMPLE)
        fill(spool, 1, 3)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()}
        spool.close()
    finally:
        os.umask(umask)
    assert set(modes) >= {path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}.lock"}
    assert set(modes.values()) == {0o600}


def test_a_spool_in_use_is_refused(spool: Spool, path: Path) -> None:
    """A second process fails with one line, after it gave a predecessor time to end."""
    del spool
    code = (
        "import sys; from pathlib import Path; from tests.support.spools import OUTPUT, open_spool\n"
        "from pattoo_mp.errors import SpoolError\n"
        "from tests.support.spools import AMPLE\n"
        "try: open_spool(Path(sys.argv[1]), AMPLE)\n"
        "except SpoolError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"{path}.lock: another agent uses this spool (process {os.getpid()}); "
        "expected a cache_directory that no other agent uses"
    )


def test_a_spool_of_a_newer_release_is_refused(path: Path) -> None:
    """After a downgrade: the file stays as it is, and one line says what to do."""
    open_spool(path, AMPLE).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    before = path.read_bytes()
    expected = "has schema 7; expected 2 at most: a newer release of the agent has written it"
    with pytest.raises(SpoolError, match=expected):
        open_spool(path, AMPLE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["spool.sqlite", "spool.sqlite.lock"])
def test_a_symbolic_link_is_not_followed(home: Path, path: Path, name: str) -> None:
    """A link in place of a file must not redirect what the agent writes."""
    (home / name).symlink_to(home / "elsewhere")
    with pytest.raises(SpoolError):
        open_spool(path, AMPLE)
    assert not (home / "elsewhere").exists()


def test_a_missing_directory_is_made(home: Path) -> None:
    """It was removed while an agent runs: its next uploader must not fail."""
    path = home / "gone" / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    assert fill(spool, 1, 1) == 1
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    spool.close()


def test_a_directory_that_cannot_be_made_is_an_error(home: Path) -> None:
    """It is a SpoolError that names the file."""
    (home / "file").touch()
    with pytest.raises(SpoolError, match=str(home / "file")):
        open_spool(home / "file" / "spool.sqlite", AMPLE)


def test_the_file_shrinks_after_an_outage(path: Path) -> None:
    """Pages freed by deliveries go back to the file system."""
    spool = open_spool(path, AMPLE)
    large = [(number, Poll(LAYOUT.identifier, number, b"x" * 4096)) for number in range(1, 201)]
    spool.append(large, LAYOUTS, "c")
    spool.close()
    full = path.stat().st_size
    spool = open_spool(path, AMPLE)
    while spool.account(OUTPUT).waiting:
        spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 20)[-1].id)
    spool.close()
    assert path.stat().st_size < full / 10


# --- a full disk


def test_a_batch_fails_completely_on_a_full_disk(path: Path) -> None:
    """The whole batch fails with StorageError; once there is room, all of it is stored."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _fill_the_disk(path)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    spool = open_spool(path, AMPLE)
    assert times(spool) == [1, 2, 3, 4, 5, 6]
    spool.close()


def _fill_the_disk(path: Path) -> None:
    """Fill the disk and recover, in a process that may write 256 kB to a file."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, hard))
    large = [(n, Poll(LAYOUT.identifier, n, b"x" * 100_000)) for n in (4, 5, 6)]
    for _ in range(3):
        with pytest.raises(StorageError):
            spool.append(large, LAYOUTS, "c")
        assert (times(spool), spool.account(OUTPUT).waiting) == ([1, 2, 3], 3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert spool.append(large, LAYOUTS, "c") == 3
    spool.close()


def test_the_layouts_of_a_failed_batch_are_given_again(spool: Spool) -> None:
    """After a batch was rolled back, its layout is stored with the next attempt."""
    bad = [(1, poll(1)), (2, Poll("an unknown layout", 2, b""))]
    before = spool.state
    with pytest.raises(StorageError):
        spool.append(bad, LAYOUTS, "c")
    assert spool.state == before
    assert fill(spool, 1, 2) == 2
    assert spool.layout(spool.oldest(OUTPUT, 1)[0].poll.layout_id) == LAYOUT
