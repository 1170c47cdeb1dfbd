"""Derives the troubles of a running agent from its status document.

Only codes are decided here; `cli.advice` has the words for them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pattoo_mp.control.outputs import HUB, of_output
from pattoo_mp.control.rates import is_behind, window_s
from pattoo_mp.model import AHEAD_MS

Status = dict[str, Any]
Trouble = dict[str, str | int]


class Code(StrEnum):
    """The kinds of trouble, the most serious first."""

    #: Control runs but does not answer.
    CONTROL_SILENT = "control_silent"
    #: A worker does not run.
    WORKER_GONE = "worker_gone"
    #: A process of a worker hangs in the kernel and cannot be killed.
    WORKER_HANGS = "worker_hangs"
    #: A worker exited three times recently.
    WORKER_DIES = "worker_dies"
    #: Nothing was polled for three intervals.
    NO_POLLS = "no_polls"
    #: Polls wait in memory only: the spool accepts no writes.
    SPOOL_TAKES_NOTHING = "spool_takes_nothing"
    #: Polls have waited in memory for three intervals: the uploader runs but reports nothing.
    NOTHING_KEPT = "nothing_kept"
    #: Nothing was posted for the time of three posts, because of this host.
    CANNOT_POST = "cannot_post"
    #: The server took nothing for the time of three posts, although polls were waiting.
    SERVER_TAKES_NOTHING = "server_takes_nothing"
    #: A hub that fetches has not come for a quarter of an hour, although polls wait for it.
    HUB_STAYS_AWAY = "hub_stays_away"
    #: Another process reads the spool, and its journal grows.
    JOURNAL_HELD = "journal_held"
    #: At least a tenth of a hub's spokes have not answered well for three intervals.
    SPOKES_FAIL = "spokes_fail"
    #: The times of polls are ahead of the clock.
    TIMES_AHEAD = "times_ahead"
    #: Polls were dropped recently.
    DROPPING = "dropping"
    #: Polls were quarantined recently.
    QUARANTINE = "quarantine"
    #: Most polls recently had other devices than the poll before them.
    DEVICES_CHANGE = "devices_change"
    #: The ledger does not add up.
    UNACCOUNTED = "unaccounted"


_ORDER: Final = tuple(Code)
_SPOOL_FAILS: Final = frozenset({Code.SPOOL_TAKES_NOTHING, Code.NOTHING_KEPT})
_INTERVALS: Final = 3
#: On a busy host, some late ticks of a short interval are no trouble yet.
_LEAST_QUIET_MS: Final = 10_000
#: A poll that stays longer in memory waits for the uploader or its disk, not for the server.
_IN_MEMORY_MS: Final = 3_000
#: How long the posts of a new agent may fail before a server that it never reached is a trouble.
_NEVER_REACHED_MS: Final = 60_000
#: How long after the start of control a worker may still be missing.
_START_MS: Final = 10_000
_DEATHS: Final = 3
#: The part of a hub's spokes that have to fail is one in so many.
_FAILING: Final = 10
#: So many changes of devices are no trouble: a host has them when containers are started.
_CHANGES: Final = 20


def troubles(status: Status) -> list[Trouble]:
    """Return the troubles of a running agent, the most serious first.

    `status` is the status document. Each trouble has a `code`; a `subject`, which names a worker or is
    empty; and `since_ms`, which is 0 if the beginning is unknown. With several outputs, `output` names
    the one that has the trouble, if it is not that of all.
    """
    found = [
        *_worker_troubles(status),
        *_polling_troubles(status),
        *_layout_troubles(status),
        *_spool_troubles(status),
        *_spoke_troubles(status),
        *_clock_troubles(status),
        *_ledger_troubles(status),
    ]
    outputs = [output["name"] for output in status.get("outputs", [])]
    if len(outputs) < 2:
        found += _output_troubles(status)
    else:
        for name in outputs:
            of_this = _output_troubles(of_output(status, name))
            found += [{**trouble, "output": name} for trouble in of_this]
    return sorted(found, key=lambda trouble: _ORDER.index(trouble["code"]))


def trouble(code: Code, subject: str = "", since_ms: int = 0) -> Trouble:
    """Return one trouble."""
    return {"code": code, "subject": subject, "since_ms": since_ms}


def _recent_ms(status: Status) -> float:
    """Return the time since which an event is recent."""
    return float(status["now_ms"] - window_s(status["interval_ms"]) * 1000)


def _worker_troubles(status: Status) -> list[Trouble]:
    found = []
    now_ms = status["now_ms"]
    recent_ms = _recent_ms(status)
    # A time in the future is from before the clock was set back.
    is_new = 0 <= now_ms - status["control"]["started_ms"] < _START_MS
    for name, worker in status["workers"].items():
        if worker.get("left_behind"):
            found.append(trouble(Code.WORKER_HANGS, name, worker["left_behind"][0]["since_ms"]))
        deaths = [death_ms for death_ms in worker["deaths_ms"] if recent_ms <= death_ms <= now_ms]
        if len(deaths) >= _DEATHS:
            found.append(trouble(Code.WORKER_DIES, name, deaths[0]))
        elif not worker["pid"] and (deaths or not is_new):
            found.append(trouble(Code.WORKER_GONE, name, deaths[-1] if deaths else 0))
    return found


def _polling_troubles(status: Status) -> list[Trouble]:
    """Check for a collector that runs but polls nothing. A missing one is a worker trouble."""
    quiet_ms = _quiet_ms(status)
    begun_ms = max(status["polls"]["last_ms"], status["workers"]["collector"]["started_ms"])
    if status["workers"]["collector"]["pid"] and status["now_ms"] > begun_ms + quiet_ms:
        return [trouble(Code.NO_POLLS, since_ms=status["polls"]["last_ms"])]
    return []


def _layout_troubles(status: Status) -> list[Trouble]:
    """Check for a host whose devices change in every other poll: each change costs processor time."""
    if "spokes" in status:
        return []  # each of a hub's spokes has its own devices
    recent = status["recent"]
    changes = recent.get("layouts", 0)
    if changes >= _CHANGES and 2 * changes >= recent["polled"]:
        return [trouble(Code.DEVICES_CHANGE)]
    return []


def is_local_trouble(status: Status) -> bool:
    """Whether polls wait because of a trouble of this host, not because of the server."""
    local = status["workers"]["uploader"]["troubles"].keys() & {"spool", "posts"}
    return bool(local) and not status["posts"]["failing_since_ms"]


def _spool_troubles(status: Status) -> list[Trouble]:
    """Check for an uploader that cannot store polls, or runs but stores none."""
    uploader = status["workers"]["uploader"]
    if "spool" in uploader["troubles"]:
        return [trouble(Code.SPOOL_TAKES_NOTHING)]
    found = [trouble(Code.JOURNAL_HELD)] if "journal" in uploader["troubles"] else []
    waiting_ms = status["polls"]["oldest_in_channel_ms"]
    offered_ms = max(waiting_ms, uploader["started_ms"])
    if waiting_ms and uploader["pid"] and status["now_ms"] > offered_ms + _quiet_ms(status):
        found.append(trouble(Code.NOTHING_KEPT, since_ms=waiting_ms))
    return found


def _quiet_ms(status: Status) -> int:
    """Return how long a worker may report no polls."""
    return int(max(_INTERVALS * status["interval_ms"], _LEAST_QUIET_MS))


def _server_troubles(status: Status) -> list[Trouble]:
    """Check for a server that took nothing although polls were waiting and were offered to it.

    If this host is the cause, report that instead, unless a trouble of the spool already covers it.
    The server is not to blame for polls that a new agent found waiting and has just begun to post,
    nor for polls that never left memory.
    """
    in_memory_ms = status["polls"]["oldest_in_channel_ms"]
    is_stuck = 0 < in_memory_ms < status["now_ms"] - _IN_MEMORY_MS
    if is_stuck and not status["posts"]["failing_since_ms"]:
        return []
    waiting_ms = status["polls"]["oldest_waiting_ms"]
    offered_ms = status["posts"]["last_ms"] or status["control"]["started_ms"]
    since_ms = max(waiting_ms, offered_ms)
    if since_ms > status["now_ms"]:
        # The clock was set back; only the time of a later failure is meaningful.
        since_ms = status["posts"]["failing_since_ms"]
    unreached_ms = _never_reached_since_ms(status)
    since_ms = unreached_ms or since_ms
    is_late = unreached_ms or is_behind(since_ms, status["posts"]["spacing_ms"], status["now_ms"])
    if waiting_ms and is_late:
        if status.get("kind") == HUB:
            return [trouble(Code.HUB_STAYS_AWAY, since_ms=since_ms)]
        if not is_local_trouble(status):
            return [trouble(Code.SERVER_TAKES_NOTHING, since_ms=since_ms)]
        if not any(found["code"] in _SPOOL_FAILS for found in _spool_troubles(status)):
            return [trouble(Code.CANNOT_POST, since_ms=since_ms)]
    return []


def _never_reached_since_ms(status: Status) -> int:
    """Since when all posts have failed since the start, if that is long enough; else 0.

    With an interval of minutes, three posts take too long to report a wrong address.
    """
    posts = status["posts"]
    failing_ms = int(posts["failing_since_ms"])
    is_long = 0 < failing_ms < status["now_ms"] - _NEVER_REACHED_MS
    return failing_ms if is_long and not posts["count"] else 0


def _spoke_troubles(status: Status) -> list[Trouble]:
    """Check for a hub many of whose spokes fail. A single host that is away is no trouble of the hub."""
    spokes = status.get("spokes")
    if spokes is None or not spokes["lasting"] or spokes["lasting"] * _FAILING < spokes["count"]:
        return []
    return [trouble(Code.SPOKES_FAIL, since_ms=min(s["since_ms"] for s in spokes["worst"]))]


def _clock_troubles(status: Status) -> list[Trouble]:
    if status["polls"]["last_ms"] > status["now_ms"] + AHEAD_MS:
        return [trouble(Code.TIMES_AHEAD)]
    return []


def _ledger_troubles(status: Status) -> list[Trouble]:
    return [trouble(Code.UNACCOUNTED)] if status["polls"]["unaccounted"] else []


def _output_troubles(status: Status) -> list[Trouble]:
    """Check one output: `status` is that of an agent with this output only."""
    recent, polls = status["recent"], status["polls"]
    found = _server_troubles(status)
    # A spool that was found damaged at the start lost its polls before the recent counts began.
    is_recent = _recent_ms(status) <= polls["last_dropped_ms"] <= status["now_ms"]
    if recent["dropped"] or is_recent:
        found.append(trouble(Code.DROPPING))
    if recent["quarantined"]:
        found.append(trouble(Code.QUARANTINE))
    return found
