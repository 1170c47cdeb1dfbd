"""What control tells systemd, heard by a socket that plays systemd's part."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.control.systemd import Notifier, status_line
from tests.support.systemd import Systemd

if TYPE_CHECKING:
    from pathlib import Path

NEVER = float("inf")
FINE: dict[str, Any] = {
    "intervals_ms": [300_000],
    "polls": {"since_start": 12, "in_channel": 1, "in_spool": 2, "dropped": {}},
    "posts": {"failing_since_ms": 0, "last_error": "an old one"},
    "workers": {"uploader": {"pid": 7, "last_death": "signal SIGKILL", "troubles": {}}},
}
WORDS = "12 polled, one every 300 s; 3 waiting"


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_readiness_is_told_once(home: Path, kind: str) -> None:
    """READY and a status line, at either kind of address; later beats do not repeat it."""
    address = f"{home}/notify" if kind == "path" else f"@{home}"
    with Systemd(address) as systemd:
        notifier = Notifier(address)
        notifier.beat(lambda: FINE)
        assert systemd.listen() == []
        notifier.ready()
        assert notifier.wake_at == 0.0
        notifier.beat(lambda: FINE)
        notifier.beat(lambda: FINE)
        assert systemd.listen() == [{"STATUS": WORDS, "READY": "1"}]
    assert notifier.wake_at == NEVER


def test_polls_that_cannot_be_kept_are_a_service_too(home: Path) -> None:
    """After a while; where none is polled, systemd hears why, and goes on waiting."""
    none = {**FINE, "polls": {**FINE["polls"], "since_start": 0}}
    with Systemd(f"@{home}") as systemd:
        for status in (none, FINE):
            Notifier(f"@{home}", ready_by_s=0.0).beat(partial(dict[str, Any], status))
        assert [sorted(datagram) for datagram in systemd.listen()] == [
            ["STATUS"],
            ["READY", "STATUS"],
        ]


def test_the_watchdog_is_fed_at_half_its_time(home: Path) -> None:
    """The loop is asked to turn in time, and a beat before that says nothing."""
    environment = {"NOTIFY_SOCKET": f"@{home}", "WATCHDOG_USEC": "60000000"}
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier.of(environment, os.getpid())
        begun = notifier.wake_at
        notifier.ready()
        notifier.beat(lambda: FINE)
        notifier.beat(lambda: FINE)
        assert systemd.told("WATCHDOG") == ["1"]
        # `begun` was 30 s from the start, as half of the watchdog's time is from the beat.
        assert begun <= notifier.wake_at < NEVER


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(home: Path, environment: dict[str, str]) -> None:
    """None, one that is off, one that is no number, and one of another process."""
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier.of({"NOTIFY_SOCKET": f"@{home}", **environment}, os.getpid())
        notifier.ready()
        notifier.beat(lambda: FINE)
        assert systemd.told("WATCHDOG") == []


def test_without_systemd_the_loop_is_not_woken() -> None:
    """An agent of supervisord's, or of --start: nothing to tell, nobody to tell it to."""
    notifier = Notifier.of({"WATCHDOG_USEC": "1000000"}, os.getpid())
    notifier.ready()
    notifier.beat(lambda: FINE)
    notifier.stopping()
    assert notifier.wake_at == NEVER


def test_a_systemd_that_cannot_be_told_is_tried_again(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once in the log; readiness is not forgotten."""
    notifier = Notifier(f"@{home}")
    for _ in range(2):
        notifier.ready()
        notifier.beat(lambda: FINE)
    (message,) = caplog.messages
    assert message.startswith("Cannot notify systemd at ")
    assert message.endswith(": [Errno 111] Connection refused.")
    assert 0.0 < notifier.wake_at < NEVER
    with Systemd(f"@{home}") as systemd:
        notifier.ready()
        notifier.beat(lambda: FINE)
        assert systemd.told("READY") == ["1"]


def test_a_reload_is_told_and_that_it_is_done(home: Path) -> None:
    """RELOADING with its time, then READY; not while it starts, when READY is awaited anyway."""
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier(f"@{home}")
        notifier.reloading()
        assert systemd.listen() == []
        notifier.ready()
        notifier.beat(lambda: FINE)
        before_us = time.monotonic_ns() // 1000
        notifier.reloading()
        notifier.reloading()
        notifier.beat(lambda: FINE)
        assert systemd.told("READY") == ["1"]
        notifier.reloaded()
        assert notifier.wake_at == 0.0
        notifier.reloaded()
        notifier.beat(lambda: FINE)
        assert [sorted(datagram) for datagram in systemd.listen()] == [
            ["READY", "STATUS"],
            ["MONOTONIC_USEC", "RELOADING"],
            ["READY", "STATUS"],
        ]
        (told_us,) = systemd.told("MONOTONIC_USEC")
        assert before_us <= int(told_us) <= time.monotonic_ns() // 1000


def test_the_end_is_told_and_ends_the_beats(home: Path) -> None:
    """STOPPING, and no wake after it."""
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier(f"@{home}", 60.0)
        notifier.stopping()
        notifier.ready()  # the last polls are kept in the stop
        notifier.beat(lambda: FINE)
        assert [sorted(datagram) for datagram in systemd.listen()] == [["STATUS", "STOPPING"]]
    assert notifier.wake_at == NEVER


def test_what_is_wrong_is_in_the_one_line() -> None:
    """The server's refusal, what was dropped, a worker that is not there, and what it misses."""
    status: dict[str, Any] = {
        **FINE,
        "polls": {**FINE["polls"], "dropped": {"too old": 4}},
        "posts": {"failing_since_ms": 1, "last_error": "Connection\nrefused"},
        "workers": {
            "collector": {"pid": 0, "last_death": "signal SIGSEGV", "troubles": {}},
            "uploader": {"pid": 7, "last_death": "", "troubles": {"spool": "no space"}},
        },
    }
    assert status_line(status) == (
        f"{WORDS}; 4 dropped; Connection refused; collector ended by signal SIGSEGV; "
        "uploader: spool: no space"
    )


def test_any_name_of_a_mount_can_be_told(home: Path) -> None:
    """One that is not UTF-8, and many of them: a line, and no error."""
    troubles = {f"disk_partitions /mnt/\udcff{n}": "Permission denied" for n in range(10_000)}
    workers = {"collector": {"pid": 7, "last_death": "", "troubles": troubles}}
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier(f"@{home}")
        notifier.ready()
        notifier.beat(lambda: {**FINE, "workers": workers})
        (line,) = systemd.told("STATUS")
    assert line.startswith(
        f"{WORDS}; collector: disk_partitions /mnt/\\udcff0: Permission denied; "
    )
    assert len(line) < 10_000
