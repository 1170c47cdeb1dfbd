"""How long an outage the spool holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import host_checks, load
from pattoo_mp.doctor import spool as findings
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.spool import Room, key_findings
from pattoo_mp.model import INTEGER, Layout, Poll, Series
from pattoo_mp.spool.limits import Limits
from pattoo_mp.spool.store import Spool
from pattoo_mp.upload.pattoo.encrypted.known import FILE
from tests.support.configs import config_in
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.values import Config


GB = 1_000_000_000
DAY_S = 86_400
NOW_MS = 1_700_000_000_000


@pytest.fixture
def settings(home: Path) -> Config:
    """Polls every second, and the default limits."""
    (home / "pattoo.yaml").write_text(
        "pattoo:\n"
        + "".join(f"  {name}_directory: {home}/{name}\n" for name in ("log", "cache", "daemon"))
    )
    (home / "pattoo_agent_os_autonomousd.yaml").write_text(
        "pattoo_agent_os_autonomousd: {polling_interval: 1}\n"
    )
    return load.check(home)


def limit(settings: Config, room: Room, poll_bytes: float) -> tuple[float, str]:
    """Days that are held, and what ends them."""
    seconds, (name, _) = findings.held(settings, room, poll_bytes)
    return seconds / DAY_S, name


def test_the_first_limit_that_is_reached_ends_an_outage(settings: Config) -> None:
    """Age, size, or the disk; and what is in the spool already is taken off its size."""
    assert limit(settings, Room(0, 100 * GB), 100) == (30, "spool_max_age ends it")
    assert limit(settings, Room(0, 100 * GB), 1000) == (
        GB / 1000 / DAY_S,
        "spool_max_bytes ends it",
    )
    half = Room(GB // 2, 100 * GB)
    assert limit(settings, half, 1000) == (GB / 2000 / DAY_S, "spool_max_bytes ends it")
    small = Room(0, GB // 2)
    kept = GB // 2 - settings.spool_min_free_bytes
    assert limit(settings, small, 1000) == (kept / 1000 / DAY_S, "its disk ends it")


def test_a_longer_interval_holds_a_longer_outage(settings: Config) -> None:
    """In proportion."""
    slower = replace(settings, interval_ms=10_000, spool_max_age=10**9)
    assert limit(slower, Room(0, 100 * GB), 1000)[0] == 10 * GB / 1000 / DAY_S


@pytest.mark.parametrize(
    ("hours", "state"),
    [(25, State.WELL), (2, State.NOTE), (0.5, State.TROUBLE), (0, State.TROUBLE)],
)
def test_a_day_is_well_and_less_than_an_hour_is_trouble(
    settings: Config, hours: float, state: State
) -> None:
    """With what to do about the limit that comes first."""
    room = Room(0, settings.spool_min_free_bytes + int(hours * 3600 * 10_000))
    found = findings.outage_finding(settings, room, 10_000)
    assert found.state is state
    assert "without the server, 10 kB every 1 s; its disk ends it" in found.found
    if state is not State.WELL:
        assert found.advice.startswith(f"make room on the disk of {settings.cache_directory}")


def test_on_a_small_disk_some_polls_are_kept_all_the_same(settings: Config) -> None:
    """Up to 4 MB of them, as there is room; and the setting that keeps it so small is named."""
    small = Room(0, 8_000_000)
    seconds, (name, advice) = findings.held(settings, small, 1000)
    assert seconds == (4 << 20) / 1000
    assert name == "spool_min_free_bytes (64 MB) is more than is free, and ends it"
    assert advice.endswith(", or lower spool_min_free_bytes")
    assert findings.held(settings, Room(3 << 20, 8_000_000), 1000)[0] == (1 << 20) / 1000
    assert findings.held(settings, Room(0, 500_000), 1000)[0] == 500
    assert findings.held(settings, Room(5 << 20, 8_000_000), 1000)[0] == 0
    (disk,) = findings.room_findings(settings, small)
    assert disk.state is State.NOTE
    assert disk.found == (
        "8 MB free, 0 bytes used by the spool; spool_min_free_bytes (64 MB) is more than is free"
    )


def test_on_a_full_disk_polls_wait_in_memory_alone(settings: Config) -> None:
    """And no setting helps."""
    found = findings.outage_finding(settings, Room(0, 0), 1000)
    assert found.state is State.TROUBLE
    assert found.found == "none is survived: its disk is full, and polls wait in memory"
    assert found.advice == f"make room on the disk of {settings.cache_directory}"


def test_so_much_is_kept_as_the_spool_allows_itself(home: Path) -> None:
    """However little is free: at 4 MB it may grow on, above it not."""
    limits = Limits(min_free_bytes=1 << 62)
    always = 4 << 20
    assert limits.room(always, home).most_bytes == limits.max_bytes
    assert limits.room(always + 1, home).most_bytes == always + 1


def test_a_full_spool_holds_nothing_more(settings: Config) -> None:
    """Not less than nothing."""
    assert limit(settings, Room(2 * GB, GB), 1000) == (0, "spool_max_bytes ends it")


def test_spools_put_aside_are_named(settings: Config) -> None:
    """And nothing else that lies beside the spool."""
    spool = paths.spool_file(settings)
    spool.parent.mkdir()
    for name in ("", "-wal", "-shm", ".lock", ".new", ".account", ".damaged-20260101T000000", ".1"):
        spool.with_name(spool.name + name).write_text("12345")
    room = findings.room_on_disk(spool)
    assert room.aside == (f"{spool.name}.1", f"{spool.name}.damaged-20260101T000000")
    assert room.used_bytes == 10
    (disk, aside) = findings.room_findings(settings, room)
    assert (disk.state, aside.state) == (State.WELL, State.NOTE)
    assert ", ".join(room.aside) in aside.found


def test_before_the_first_start_there_is_only_the_disk(settings: Config) -> None:
    """Nothing is made to find that out."""
    room = findings.room_on_disk(paths.spool_file(settings))
    assert (room.used_bytes, room.aside) == (0, ())
    assert room.free_bytes > 0
    assert not settings.cache_directory.exists()


@pytest.mark.parametrize("series", [10, 100, 900])
def test_what_a_poll_takes_is_what_the_spool_grows_by(home: Path, series: int) -> None:
    """Within a tenth, whatever its size: small ones share a page, large ones take several."""
    layout = Layout(ORIGIN, 1000, tuple(Series(f"k{n}", INTEGER, ()) for n in range(series)))
    polls = [Poll.of(layout, NOW_MS + n, [2**40 + n] * series) for n in range(3000)]
    spool = Spool(home / "spool.sqlite")
    spool.append(list(enumerate(polls, 1)), {layout.identifier: layout.packed}, "c")
    spool.close()  # what is in the journal goes into the file
    size = (home / "spool.sqlite").stat().st_size / 3000
    assert findings.bytes_a_poll(layout, polls[0]) == pytest.approx(size, rel=0.1)


# What encrypted mode needs, and has.

AGENT_ID = "5a" * 32
OURS, THEIRS = "A1" * 20, "B2" * 20


@pytest.fixture
def keys(home: Path) -> Path:
    """Where the keys of an agent in `home` are; none yet."""
    return paths.keys_directory(config_in(home))


def by_subject(home: Path) -> dict[str, Finding]:
    """The findings."""
    return {finding.subject: finding for finding in key_findings(config_in(home), AGENT_ID)}


def test_before_the_first_post_there_is_no_key_and_none_is_made(home: Path, keys: Path) -> None:
    """All is well with that."""
    found = by_subject(home)
    assert found["our key"] == Finding(
        State.WELL, "our key", "none yet; it is made before the first post"
    )
    assert "server's key" not in found
    assert not keys.exists()


def test_keys_are_told_by_their_fingerprints(home: Path, keys: Path) -> None:
    """Ours, and that of each server; no pass phrase is read."""
    keys.mkdir(parents=True)
    (keys / f"{OURS}-{AGENT_ID}").write_text("a pass phrase")
    (keys / FILE).write_text(f"http://one/ {THEIRS}\n")
    found = by_subject(home)
    assert found["our key"].found == OURS
    assert found["server's key"].found == f"{THEIRS}, of http://one/"


def test_a_line_that_is_not_understood_is_trouble(home: Path, keys: Path) -> None:
    """For nothing is sent as long as it stands there."""
    keys.mkdir(parents=True)
    (keys / FILE).write_text("http://one/\n")
    found = by_subject(home)["servers' keys"]
    assert found.state is State.TROUBLE
    assert "expected lines of a URL and a fingerprint" in found.found


def test_a_host_without_gnupg_is_trouble(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of a start."""
    monkeypatch.setenv("PATH", str(home))
    found = by_subject(home)["gpg"]
    assert (found.state, found.found) == (State.TROUBLE, host_checks.missing_for_encryption())
