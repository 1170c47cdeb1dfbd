"""The status as data: what control knows of itself, its workers, and every poll."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.messages import Account

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.control.relay import Relay
    from pattoo_mp.control.worker import Worker

SCHEMA: Final = 1


def snapshot(started_ms: int, workers: Iterable[Worker], relay: Relay) -> dict[str, Any]:
    """The status now. Times are in ms since the epoch, 0 where it has not happened yet."""
    ledger, upload = relay.ledger, relay.upload
    account = ledger.account or Account()
    return {
        "schema": SCHEMA,
        "control": {"pid": os.getpid(), "started_ms": started_ms},
        "workers": {worker.role.name: _worker(worker) for worker in workers},
        "interval_ms": ledger.interval_ms,
        "polls": {
            "polled": ledger.total_polled,
            "delivered": account.delivered,
            "in_spool": account.waiting,
            "in_channel": len(relay.channel),
            "quarantined": account.quarantined,
            "dropped": dict(ledger.total_dropped()),
            "unaccounted": ledger.unaccounted(len(relay.channel)),
            "since_start": ledger.polled,
            "last_ms": ledger.last_poll_ms if ledger.polled else 0,
        },
        "missed": dict(ledger.missed),
        "gaps": [asdict(gap) for gap in ledger.gaps],
        "posts": {
            "server": upload.server,
            "count": relay.posts,
            "last_ms": upload.last_post_ms,
            "last_error": upload.last_error,
            "last_error_ms": upload.last_error_ms,
            "failing_since_ms": upload.failing_since_ms,
        },
        "old_posts": {
            "waiting": upload.old_waiting,
            "delivered": upload.old_taken,
            "put_aside": upload.old_bad,
        },
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "pid": worker.pid,
        "started_ms": worker.started_ms,
        "restarts": worker.restarts,
        "last_death": worker.last_death,
        "troubles": worker.troubles,
    }
