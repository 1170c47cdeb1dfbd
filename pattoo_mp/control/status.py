"""The status document, and the resource usage of a process.

`status.schema.json` beside this file describes the document, and is its contract with scripts.
Fields may be added. Removing a field, or changing its meaning, needs a new `SCHEMA`.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__, paths
from pattoo_mp.control.outputs import HUB, HUB_SPACING_MS, PARTS, OutputWatch
from pattoo_mp.control.rates import usual_spacing_s, window_s
from pattoo_mp.control.troubles import Code, trouble, troubles
from pattoo_mp.model import now_ms
from pattoo_mp.spool.account import is_place
from pattoo_mp.util.process import stat_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pattoo_mp.config.values import Config
    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.reload import LiveConfig
    from pattoo_mp.control.worker import Worker


SCHEMA: Final = 1

#: A spoke that has not been well for so many (of the longest) intervals counts as lasting.
_SPOKE_INTERVALS: Final = 3

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_UNKNOWN: Final[dict[str, float]] = {"memory_bytes": 0, "cpu_s": 0.0}


def snapshot(
    started_ms: int,
    workers: Iterable[Worker],
    broker: Broker,
    live: LiveConfig,
    *,
    every_spoke: bool = False,
) -> dict[str, Any]:
    """Return the status of a running agent. Times are in ms since the epoch, 0 for never.

    Of a hub's spokes, which may be thousands, there are numbers and the worst; with `every_spoke`, all.
    """
    ledger = broker.ledger
    uploads = [output.upload for output in broker.outputs.values()]
    status: dict[str, Any] = {
        "schema": SCHEMA,
        "state": "running",
        "now_ms": now_ms(),
        "version": __version__,
        "log_file": str(paths.log_file(live.config)),
        "variables": live.config.variables,
        "control": {"pid": os.getpid(), "started_ms": started_ms, **usage(os.getpid())},
        "workers": {worker.role.name: _worker(worker) for worker in workers},
        "interval_ms": ledger.interval_ms,
        "intervals_ms": ledger.intervals_ms,
        "polls": _polls(broker),
        "missed": dict(ledger.missed),
        "gaps": [asdict(gap) for gap in ledger.gaps],
        "recent": _recent(broker),
        "old_posts": {
            "waiting": sum(upload.old_waiting for upload in uploads),
            "delivered": sum(upload.old_taken for upload in uploads),
            "put_aside": sum(upload.old_bad for upload in uploads),
        },
        "reload": live.snapshot(workers),
    }
    first, *_ = outputs = _outputs(broker, live.config, status)
    # What scripts know from an agent with one output.
    for part in PARTS:
        status[part] = status.get(part, {}) | first[part]
    status["outputs"] = outputs
    if broker.spokes is not None:
        quiet_ms = _SPOKE_INTERVALS * max(live.config.groups)
        status["spokes"] = broker.spokes.summary(status["now_ms"] - quiet_ms)
        if every_spoke:
            status["spokes"]["all"] = broker.spokes.every()
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
    """Return resident memory (bytes) and processor time (s) of a process; zeros if there is none."""
    try:
        fields = stat_fields(pid)
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
    return {
        "polled": ledger.total_polled,
        "in_channel": len(broker.channel),
        "unaccounted": ledger.unaccounted(len(broker.channel)),
        "since_start": ledger.polled,
        "last_ms": ledger.last_poll_ms if ledger.polled else 0,
        "oldest_in_channel_ms": broker.channel.oldest_ms,
    }


def _outputs(broker: Broker, config: Config, status: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the status that each output has, in the order of the configuration.

    After them come the hubs that fetch from an output of kind pull, each with its own account.
    """
    ledger, channel = broker.ledger, broker.channel
    window = window_s(ledger.interval_ms)
    usual_ms = round(usual_spacing_s(ledger.interval_ms / 1000) * 1000)
    found = []
    # Before the spool's account is known, the configured outputs have nothing yet.
    named = {output.name: (output.kind, output.named_by) for output in config.outputs}
    named |= {name: (HUB, "") for name in broker.outputs if is_place(name)}
    for name, (kind, named_by) in named.items():
        watch = broker.outputs.get(name) or OutputWatch()
        spacing_ms = HUB_SPACING_MS if kind == HUB else usual_ms
        polls = watch.polls(ledger.dropped_of(watch.account), channel.oldest_ms)
        polls["before"] = ledger.before(watch.account)
        waiting = polls["in_spool"] + len(channel)
        _, counts = watch.recent.since(window, watch.counts(broker.dropped_in_channel))
        found.append(
            {
                "name": name,
                "kind": kind,
                "polls": polls,
                "posts": watch.posts(spacing_ms) | {"named_by": named_by},
                "recent": counts,
                "backlog": watch.backlog(
                    polls["oldest_waiting_ms"],
                    waiting,
                    ledger.polls_per_s,
                    spacing_ms,
                    status["now_ms"],
                ),
            }
        )
    return found


def _recent(broker: Broker) -> dict[str, float]:
    window = window_s(broker.ledger.interval_ms)
    seconds, counts = broker.recent.since(window, broker.counts())
    _, layouts = broker.recent_layouts.since(window, broker.layout_counts())
    return {"seconds": round(seconds, 3), **counts, **layouts}
