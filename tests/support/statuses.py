"""Made-up statuses in the form that control answers."""

from __future__ import annotations

from typing import Any

from pattoo_mp.control.troubles import troubles

#: 2024-05-06 12:00:00.250 UTC.
NOON_MS = 1_714_996_800_250
MINUTE_MS = 60_000


def worker(**more: object) -> dict[str, Any]:
    """Return a worker that has run for an hour at noon; `more` changes it."""
    usual = {
        "pid": 7, "started_ms": NOON_MS - 60 * MINUTE_MS, "restarts": 0, "last_death": "",
        "deaths_ms": [], "troubles": {}, "left_behind": [], "memory_bytes": 22_400_000, "cpu_s": 36.0,
    }  # fmt: skip
    return {**usual, **more}


def status(**changes: object) -> dict[str, Any]:
    """Return the status of an agent without trouble, at noon; `changes` change it, and mappings are merged."""
    well: dict[str, Any] = {
        "schema": 1,
        "state": "running",
        "now_ms": NOON_MS,
        "version": "0.1.0",
        "control": {
            "pid": 6, "started_ms": NOON_MS - 60 * MINUTE_MS, "memory_bytes": 27_400_000,
            "cpu_s": 3.6,
        },
        "workers": {"collector": worker(), "uploader": worker(pid=8, memory_bytes=32_800_000)},
        "interval_ms": 10_000,
        "intervals_ms": [10_000],
        "polls": {
            "polled": 1000, "delivered": 999, "in_channel": 0, "in_spool": 1, "quarantined": 0,
            "dropped": {}, "unaccounted": 0, "since_start": 360, "last_ms": NOON_MS - 250,
            "last_delivered_ms": NOON_MS - 10_250, "last_dropped_ms": 0,
            "oldest_in_channel_ms": 0, "oldest_waiting_ms": NOON_MS - 250,
        },
        "missed": {},
        "gaps": [],
        "posts": {
            "server": "http://pattoo:20201/", "spacing_ms": 10_000, "count": 359, "sent_bytes": 7_200_000,
            "last_ms": NOON_MS - 10_000, "last_error": "", "last_error_ms": 0, "last_fault": "",
            "failing_since_ms": 0, "next_post_ms": 0,
        },
        "recent": {
            "seconds": 301.5, "polled": 30, "missed": 0, "delivered": 30, "dropped": 0,
            "quarantined": 0, "posts": 30, "sent_bytes": 603_000, "layouts": 0,
        },
        "backlog": {"polls": 0, "taken_per_s": None, "gone_in_s": None},
        "old_posts": {"waiting": 0, "delivered": 0, "put_aside": 0},
        "reload": {
            "number": 0, "reading": False, "at_ms": 0, "changed": [], "problems": [],
            "waiting_for": [],
        },
    }  # fmt: skip
    for name, change in changes.items():
        well[name] = {**well[name], **change} if isinstance(change, dict) else change
    return {**well, "troubles": troubles(well)}


def server_gone() -> dict[str, Any]:
    """Return the status when the server has been unreachable for ten minutes."""
    since_ms = NOON_MS - 10 * MINUTE_MS
    return status(
        polls={
            "delivered": 940, "in_spool": 59, "in_channel": 1, "oldest_waiting_ms": since_ms - 250,
            "last_delivered_ms": since_ms - 10_250,
        },
        posts={
            "last_ms": since_ms - 10_000, "last_error": "Connection refused", "last_fault": "unreachable",
            "last_error_ms": NOON_MS - 4_000, "failing_since_ms": since_ms,
            "next_post_ms": NOON_MS + 12_000,
        },
        recent={"posts": 0, "delivered": 0, "sent_bytes": 0},
        backlog={"polls": 60},
    )  # fmt: skip


def draining() -> dict[str, Any]:
    """Return the status with a day's backlog, of which the server takes 50 polls a second."""
    return status(
        polls={
            "polled": 9999, "delivered": 1359, "in_spool": 8640,
            "oldest_waiting_ms": NOON_MS - 1440 * MINUTE_MS,
            "last_delivered_ms": NOON_MS - 1440 * MINUTE_MS - 10_000,
        },
        posts={"last_error": "status 503", "last_error_ms": NOON_MS - 3 * MINUTE_MS},
        backlog={"polls": 8640, "taken_per_s": 50.0, "gone_in_s": 173.1},
    )  # fmt: skip


def no_polls() -> dict[str, Any]:
    """Return the status when a running collector has delivered no poll for a minute."""
    return status(polls={"last_ms": NOON_MS - MINUTE_MS - 250})


def much_trouble() -> dict[str, Any]:
    """Return the status with a full disk, a crash loop of the uploader, and the consequences."""
    deaths_ms = [NOON_MS - 50_000, NOON_MS - 30_000, NOON_MS - 5_000]
    return status(
        workers={
            "collector": worker(pid=0, restarts=1, last_death="exit status 1"),
            "uploader": worker(
                restarts=3, last_death="signal SIGKILL", deaths_ms=deaths_ms,
                troubles={
                    "spool": "database or disk is full",
                    "posts": "the spool: database or disk is full",
                },
            ),
        },
        polls={
            "in_spool": 980, "in_channel": 13, "delivered": 0, "dropped": {"the spool is full": 3},
            "quarantined": 2, "unaccounted": 2, "last_delivered_ms": 0,
        },
        missed={"the collector was down": 5},
        gaps=[{"ticks": 5, "after_ms": NOON_MS - 60_250, "before_ms": NOON_MS - 250,
               "reason": "the collector was down"}],
        old_posts={"waiting": 1, "delivered": 2},
        recent={"dropped": 3, "quarantined": 2, "missed": 5},
    )  # fmt: skip


def cannot_post() -> dict[str, Any]:
    """Return the status when another program has locked the spool for a minute; the server is well."""
    return status(
        workers={"uploader": worker(troubles={"posts": "the spool: database is locked"})},
        polls={"delivered": 993, "in_spool": 7, "oldest_waiting_ms": NOON_MS - MINUTE_MS - 250},
        posts={"last_ms": NOON_MS - MINUTE_MS},
        backlog={"polls": 7, "taken_per_s": 0.1},
    )


def two_outputs(second: str = "metrics") -> dict[str, Any]:
    """Return the status of two outputs: the first is well, the second has been gone for ten minutes."""
    gone, well = server_gone(), status()

    def output(name: str, kind: str, own: dict[str, Any]) -> dict[str, Any]:
        fields = {
            "polls": (
                "delivered", "in_spool", "quarantined", "dropped", "last_delivered_ms",
                "last_dropped_ms", "oldest_waiting_ms",
            ),
            "recent": ("delivered", "dropped", "quarantined", "posts", "sent_bytes"),
        }  # fmt: skip
        parts = {part: {n: own[part][n] for n in names} for part, names in fields.items()}
        return {
            "name": name,
            "kind": kind,
            "posts": own["posts"],
            "backlog": own["backlog"],
            **parts,
        }

    remote = output(second, "remote_write", gone)
    remote["posts"] = {**remote["posts"], "server": "https://metrics.example.org/api/v1/write"}
    remote["polls"]["dropped"] = {"the spool is full": 12}
    return status(outputs=[output("pattoo", "pattoo", well), remote])
