"""Check the spool: disk space, how long an outage may last, and the keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import host_checks, load
from pattoo_mp.doctor import spool as check
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.spool import DiskUsage, key_findings
from pattoo_mp.model import INTEGER, Layout, Poll, Series
from pattoo_mp.upload.pattoo.encrypted.known import FILE
from tests.support.configs import config_in
from tests.support.spools import AMPLE, limits_with, open_spool
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.values import Config


GB = 1_000_000_000
DAY_S = 86_400
NOW_MS = 1_700_000_000_000


@pytest.fixture
def settings(home: Path) -> Config:
    """A configuration with polls every second and the default limits."""
    (home / "pattoo.yaml").write_text(
        "pattoo:\n"
        + "".join(f"  {name}_directory: {home}/{name}\n" for name in ("log", "cache", "daemon"))
    )
    (home / "pattoo_agent_os_autonomousd.yaml").write_text(
        "pattoo_agent_os_autonomousd: {polling_interval: 1}\n"
    )
    return load.check(home)


def limit(settings: Config, usage: DiskUsage, poll_bytes: float) -> tuple[float, str]:
    """How many days an outage may last, and the limit."""
    seconds, (name, _) = check.outage_limit(settings, usage, poll_bytes)
    return seconds / DAY_S, name


def test_the_limit_that_is_reached_first_counts(settings: Config) -> None:
    """It may be age, size or the disk. What the spool holds already is subtracted from its size."""
    assert limit(settings, DiskUsage(0, 100 * GB), 100) == (30, "spool_max_age is the limit")
    assert limit(settings, DiskUsage(0, 100 * GB), 1000) == (
        GB / 1000 / DAY_S,
        "spool_max_bytes is the limit",
    )
    half = DiskUsage(GB // 2, 100 * GB)
    assert limit(settings, half, 1000) == (GB / 2000 / DAY_S, "spool_max_bytes is the limit")
    small = DiskUsage(0, GB // 2)
    kept = GB // 2 - settings.spool_min_free_bytes
    assert limit(settings, small, 1000) == (kept / 1000 / DAY_S, "the disk is the limit")


def test_a_longer_interval_allows_a_longer_outage(settings: Config) -> None:
    """In proportion."""
    slower = replace(settings, interval_ms=10_000, spool_max_age=10**9)
    assert limit(slower, DiskUsage(0, 100 * GB), 1000)[0] == 10 * GB / 1000 / DAY_S


@pytest.mark.parametrize(
    ("hours", "state"),
    [(25, State.OK), (2, State.NOTE), (0.5, State.TROUBLE), (0, State.TROUBLE)],
)
def test_a_day_is_enough_and_less_than_an_hour_is_trouble(
    settings: Config, hours: float, state: State
) -> None:
    """The advice is about the limit that is reached first."""
    usage = DiskUsage(0, settings.spool_min_free_bytes + int(hours * 3600 * 10_000))
    found = check.outage_finding(settings, usage, 10_000)
    assert found.state is state
    assert "without the server, 10 kB every 1 s; the disk is the limit" in found.found
    if state is not State.OK:
        assert found.advice.startswith(f"make room on the disk of {settings.cache_directory}")


def test_a_small_disk_keeps_up_to_4_mb_of_polls(settings: Config) -> None:
    """As far as there is room. The finding names the setting that is the limit."""
    small = DiskUsage(0, 8_000_000)
    seconds, (name, advice) = check.outage_limit(settings, small, 1000)
    assert seconds == (4 << 20) / 1000
    assert name == "less than spool_min_free_bytes (64 MB) is free, so that is the limit"
    assert advice.endswith(", or lower spool_min_free_bytes")
    assert check.outage_limit(settings, DiskUsage(3 << 20, 8_000_000), 1000)[0] == (1 << 20) / 1000
    assert check.outage_limit(settings, DiskUsage(0, 500_000), 1000)[0] == 500
    assert check.outage_limit(settings, DiskUsage(5 << 20, 8_000_000), 1000)[0] == 0
    (disk,) = check.disk_findings(settings, small)
    assert disk.state is State.NOTE
    assert disk.found == (
        "8 MB free, 0 bytes used by the spool; less than spool_min_free_bytes (64 MB) is free"
    )


def test_on_a_full_disk_polls_wait_only_in_memory(settings: Config) -> None:
    """No setting helps, so the advice names none."""
    found = check.outage_finding(settings, DiskUsage(0, 0), 1000)
    assert found.state is State.TROUBLE
    assert found.found == "the spool cannot keep polls: its disk is full, and they wait in memory"
    assert found.advice == f"make room on the disk of {settings.cache_directory}"


def test_the_spool_itself_may_grow_to_4_mb_on_any_disk(home: Path) -> None:
    """However little is free, up to 4 MB it may grow; above that it may not."""
    limits = limits_with(min_free_bytes=1 << 62)
    always = 4 << 20
    assert limits.size_limit(always, home).max_bytes == limits.max_bytes
    assert limits.size_limit(always + 1, home).max_bytes == always + 1


def test_a_full_spool_allows_no_outage(settings: Config) -> None:
    """The time is 0, and not negative."""
    assert limit(settings, DiskUsage(2 * GB, GB), 1000) == (0, "spool_max_bytes is the limit")


def test_spools_that_were_set_aside_are_named(settings: Config) -> None:
    """Other files beside the spool are not."""
    spool = paths.spool_file(settings)
    spool.parent.mkdir()
    for name in ("", "-wal", "-shm", ".lock", ".new", ".account", ".damaged-20260101T000000", ".1"):
        spool.with_name(spool.name + name).write_text("12345")
    usage = check.disk_usage(spool)
    assert usage.set_aside == (f"{spool.name}.1", f"{spool.name}.damaged-20260101T000000")
    assert usage.used_bytes == 10
    (disk, aside) = check.disk_findings(settings, usage)
    assert (disk.state, aside.state) == (State.OK, State.NOTE)
    assert ", ".join(usage.set_aside) in aside.found


def test_before_the_first_start_only_the_disk_is_measured(settings: Config) -> None:
    """The directory is not made."""
    usage = check.disk_usage(paths.spool_file(settings))
    assert (usage.used_bytes, usage.set_aside) == (0, ())
    assert usage.free_bytes > 0
    assert not settings.cache_directory.exists()


@pytest.mark.parametrize("series", [10, 100, 900])
def test_the_size_of_a_poll_predicts_the_growth_of_the_spool(home: Path, series: int) -> None:
    """Within a tenth, for small polls that share a page and large ones that take several."""
    layout = Layout(ORIGIN, 1000, tuple(Series(f"k{n}", INTEGER, ()) for n in range(series)))
    polls = [Poll.of(layout, NOW_MS + n, [2**40 + n] * series) for n in range(3000)]
    spool = open_spool(home / "spool.sqlite", AMPLE)
    spool.append(list(enumerate(polls, 1)), {layout.identifier: layout.packed}, "c")
    spool.close()  # moves the journal's content into the file
    size = (home / "spool.sqlite").stat().st_size / 3000
    assert check.bytes_per_poll(layout, polls[0]) == pytest.approx(size, rel=0.1)


# GnuPG and keys for encrypted mode.

AGENT_ID = "5a" * 32
OURS, THEIRS = "A1" * 20, "B2" * 20


@pytest.fixture
def keys(home: Path) -> Path:
    """The directory of the agent's keys, which does not exist yet."""
    return paths.keys_directory(config_in(home))


def by_subject(home: Path) -> dict[str, Finding]:
    """The findings, by subject."""
    return {finding.subject: finding for finding in key_findings(config_in(home), AGENT_ID)}


def test_before_the_first_post_there_is_no_key(home: Path, keys: Path) -> None:
    """That is as it should be, and the check makes none."""
    found = by_subject(home)
    assert found["our key"] == Finding(
        State.OK, "our key", "none yet; the agent makes it before its first post"
    )
    assert "server's key" not in found
    assert not keys.exists()


def test_keys_are_reported_by_their_fingerprints(home: Path, keys: Path) -> None:
    """The agent's and each server's. No pass phrase is read."""
    keys.mkdir(parents=True)
    (keys / f"{OURS}-{AGENT_ID}").write_text("a pass phrase")
    (keys / FILE).write_text(f"http://one/ {THEIRS}\n")
    found = by_subject(home)
    assert found["our key"].found == OURS
    assert found["server's key"].found == f"{THEIRS}, of http://one/"


def test_an_invalid_line_in_the_file_of_known_servers_is_trouble(home: Path, keys: Path) -> None:
    """Nothing is sent until it is corrected."""
    keys.mkdir(parents=True)
    (keys / FILE).write_text("http://one/\n")
    found = by_subject(home)["servers' keys"]
    assert found.state is State.TROUBLE
    assert "expected lines of a URL and a fingerprint" in found.found


def test_a_host_without_gnupg_is_trouble(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding has the words that a start would use."""
    monkeypatch.setenv("PATH", str(home))
    found = by_subject(home)["gpg"]
    assert (found.state, found.found) == (State.TROUBLE, host_checks.missing_for_encryption())
