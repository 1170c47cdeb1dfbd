"""Notifications to systemd, received by a socket that stands in for it."""

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
def test_readiness_is_sent_once(home: Path, kind: str) -> None:
    """READY and a status line, at either kind of address; later beats do not repeat READY."""
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


def test_an_agent_that_polls_is_ready_even_if_nothing_is_stored(home: Path) -> None:
    """After a while. If nothing is polled, systemd only gets the status line, and goes on waiting."""
    none = {**FINE, "polls": {**FINE["polls"], "since_start": 0}}
    with Systemd(f"@{home}") as systemd:
        for status in (none, FINE):
            Notifier(f"@{home}", ready_by_s=0.0).beat(partial(dict[str, Any], status))
        assert [sorted(datagram) for datagram in systemd.listen()] == [
            ["STATUS"],
            ["READY", "STATUS"],
        ]


def test_the_watchdog_is_fed_at_half_its_time(home: Path) -> None:
    """The loop wakes up in time, and an earlier beat sends nothing."""
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
    """None, one that is off, an invalid number, and one of another process."""
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier.of({"NOTIFY_SOCKET": f"@{home}", **environment}, os.getpid())
        notifier.ready()
        notifier.beat(lambda: FINE)
        assert systemd.told("WATCHDOG") == []


def test_without_systemd_the_loop_is_not_woken() -> None:
    """As under supervisord, or after --start: there is nothing to send."""
    notifier = Notifier.of({"WATCHDOG_USEC": "1000000"}, os.getpid())
    notifier.ready()
    notifier.beat(lambda: FINE)
    notifier.stopping()
    assert notifier.wake_at == NEVER


def test_a_failed_notification_is_retried(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged once; readiness is sent later."""
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


def test_a_reload_and_its_end_are_sent(home: Path) -> None:
    """RELOADING with its time, then READY; but not during a start, when READY is awaited anyway."""
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
        (sent_us,) = systemd.told("MONOTONIC_USEC")
        assert before_us <= int(sent_us) <= time.monotonic_ns() // 1000


def test_a_stop_is_sent_and_ends_the_beats(home: Path) -> None:
    """STOPPING is sent, and nothing after it."""
    with Systemd(f"@{home}") as systemd:
        notifier = Notifier(f"@{home}", 60.0)
        notifier.stopping()
        notifier.ready()  # the last polls are kept in the stop
        notifier.beat(lambda: FINE)
        assert [sorted(datagram) for datagram in systemd.listen()] == [["STATUS", "STOPPING"]]
    assert notifier.wake_at == NEVER


def test_the_status_line_contains_what_is_wrong() -> None:
    """The server's error, dropped polls, a missing worker, and a worker's troubles."""
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


def test_any_name_of_a_mount_can_be_sent(home: Path) -> None:
    """Names that are not UTF-8, and many of them: one line, and no error."""
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
