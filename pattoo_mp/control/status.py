"""The status document, and the resource usage of a process.

`status.schema.json` beside this file describes the document, and is its contract with scripts.
Fields may be added. Removing a field, or changing its meaning, needs a new `SCHEMA`.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__, paths
from pattoo_mp.control.rates import backlog, is_behind, usual_spacing_s, window_s
from pattoo_mp.control.troubles import Code, trouble, troubles
from pattoo_mp.model import now_ms
from pattoo_mp.spool.account import SpoolState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.reload import LiveConfig
    from pattoo_mp.control.worker import Worker


SCHEMA: Final = 1

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_UNKNOWN: Final[dict[str, float]] = {"memory_bytes": 0, "cpu_s": 0.0}


def snapshot(
    started_ms: int, workers: Iterable[Worker], broker: Broker, live: LiveConfig
) -> dict[str, Any]:
    """Return the status of a running agent. Times are in ms since the epoch, 0 for never."""
    ledger, upload = broker.ledger, broker.upload
    status: dict[str, Any] = {
        "schema": SCHEMA,
        "state": "running",
        "now_ms": now_ms(),
        "version": __version__,
        "log_file": str(paths.log_file(live.config)),
        "control": {"pid": os.getpid(), "started_ms": started_ms, **usage(os.getpid())},
        "workers": {worker.role.name: _worker(worker) for worker in workers},
        "interval_ms": ledger.interval_ms,
        "intervals_ms": ledger.intervals_ms,
        "polls": _polls(broker),
        "missed": dict(ledger.missed),
        "gaps": [asdict(gap) for gap in ledger.gaps],
        "posts": {
            "server": upload.server,
            "instead_of": upload.instead_of,
            "named_by": "servers" if live.config.servers else "ip_address and ip_bind_port",
            "spacing_ms": round(usual_spacing_s(ledger.interval_ms / 1000) * 1000),
            "count": upload.posts,
            "sent_bytes": upload.sent_bytes,
            "last_ms": upload.last_post_ms,
            "last_error": upload.last_error,
            "last_error_ms": upload.last_error_ms,
            "last_fault": upload.last_fault,
            "failing_since_ms": upload.failing_since_ms,
            "next_post_ms": upload.next_post_ms,
        },
        "recent": _recent(broker),
        "old_posts": {
            "waiting": upload.old_waiting,
            "delivered": upload.old_taken,
            "put_aside": upload.old_bad,
        },
        "reload": live.snapshot(workers),
    }
    status["backlog"] = _backlog(broker, status)
    status["troubles"] = troubles(status)
    return status


def silent(pid: int) -> dict[str, Any]:
    """Return the status of an agent whose control process runs but does not answer."""
    return {
        "schema": SCHEMA,
        "state": "silent",
        "control": {"pid": pid},
        "troubles": [trouble(Code.CONTROL_SILENT)],
    }


def stopped(pid_file: Path, configuration: Path | None, cut_short_pid: int) -> dict[str, Any]:
    """Return the status of an agent that does not run: no process has locked `pid_file`.

    `configuration` is the directory of the configuration that names this file. `cut_short_pid` is the
    control process of the last run if that was cut short; else 0.
    """
    return {
        "schema": SCHEMA,
        "state": "stopped",
        "troubles": [],
        "pid_file": str(pid_file),
        "configuration": str(configuration or ""),
        "cut_short_pid": cut_short_pid,
    }


def unknown(errors: Sequence[str]) -> dict[str, Any]:
    """Return the status if it is unknown whether an agent runs; `errors` say why."""
    return {"schema": SCHEMA, "state": "unknown", "troubles": [], "errors": list(errors)}


def usage(pid: int) -> dict[str, float]:
    """Return resident memory (bytes) and processor time (s) of a process; zeros if there is none.

    Reads /proc/PID/stat (proc(5)), the only source that needs no lock of that process: a process that
    hangs may hold such a lock.
    """
    try:
        # The name in parentheses may contain anything; the third field follows it.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        user, system, resident = (int(fields[number - 3]) for number in (14, 15, 24))
    except (OSError, ValueError, IndexError):
        return _UNKNOWN.copy()
    return {"memory_bytes": resident * _PAGE_BYTES, "cpu_s": (user + system) / _TICKS_PER_S}


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "pid": worker.pid,
        "started_ms": worker.started_ms,
        "restarts": worker.restarts,
        "last_death": worker.last_death,
        "deaths_ms": list(worker.deaths_ms),
        "troubles": worker.troubles,
        "left_behind": [asdict(left) for left in worker.left],
        **usage(worker.pid),
    }


def _polls(broker: Broker) -> dict[str, Any]:
    ledger = broker.ledger
    account = ledger.account or SpoolState()
    return {
        "polled": ledger.total_polled,
        "delivered": account.delivered,
        "in_spool": account.waiting,
        "in_channel": len(broker.channel),
        "quarantined": account.quarantined,
        "dropped": dict(ledger.total_dropped()),
        "unaccounted": ledger.unaccounted(len(broker.channel)),
        "since_start": ledger.polled,
        "last_ms": ledger.last_poll_ms if ledger.polled else 0,
        "last_delivered_ms": account.delivered_ms,
        "last_dropped_ms": account.dropped_ms,
        "oldest_in_channel_ms": broker.channel.oldest_ms,
        "oldest_waiting_ms": account.oldest_ms or broker.channel.oldest_ms,
    }


def _recent(broker: Broker) -> dict[str, float]:
    window = window_s(broker.ledger.interval_ms)
    seconds, counts = broker.recent.since(window, broker.counts())
    _, layouts = broker.recent_layouts.since(window, broker.layout_counts())
    return {"seconds": round(seconds, 3), **counts, **layouts}


def _backlog(broker: Broker, status: dict[str, Any]) -> dict[str, float | None]:
    """Return the overdue polls: none as long as posting goes as usual."""
    polls, new_per_s = status["polls"], broker.ledger.polls_per_s
    if not is_behind(polls["oldest_waiting_ms"], status["posts"]["spacing_ms"], status["now_ms"]):
        return backlog(0, None, new_per_s)
    taken_per_s = broker.drain_rate.polls_per_s()
    return backlog(polls["in_spool"] + polls["in_channel"], taken_per_s, new_per_s)
