"""Which troubles a status speaks of: a pure decision. What they are called is said elsewhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pattoo_mp.control.rates import is_behind, window_s
from pattoo_mp.model import AHEAD_MS

Status = dict[str, Any]
Trouble = dict[str, str | int]


class Code(StrEnum):
    """What may be wrong, the gravest first."""

    #: Control does not answer.
    CONTROL_SILENT = "control_silent"
    #: A worker is not there.
    WORKER_GONE = "worker_gone"
    #: A worker ended three times of late.
    WORKER_DIES = "worker_dies"
    #: Nothing was polled for three intervals.
    NO_POLLS = "no_polls"
    #: Polls wait in memory only.
    SPOOL_TAKES_NOTHING = "spool_takes_nothing"
    #: The same for three intervals: the uploader is there, and says nothing.
    NOTHING_KEPT = "nothing_kept"
    #: For three posts' time, and this host is at fault.
    CANNOT_POST = "cannot_post"
    #: For three posts' time, although there was something to take.
    SERVER_TAKES_NOTHING = "server_takes_nothing"
    #: Polls carry times that are to come.
    TIMES_AHEAD = "times_ahead"
    #: Polls are, or were of late, dropped.
    DROPPING = "dropping"
    #: Polls were set aside of late.
    QUARANTINE = "quarantine"
    #: The account does not close.
    UNACCOUNTED = "unaccounted"


_GRAVITY: Final = tuple(Code)
_TICKS: Final = 3
#: A busy host may be late for some ticks of a short interval; that is no trouble yet.
_LEAST_SILENCE_MS: Final = 10_000
#: A poll that is longer in memory waits for the uploader or its disk, and not for the server.
_KEEPING_MS: Final = 3_000
#: A worker that was not there yet has so long to come up.
_START_MS: Final = 10_000
_DEATHS: Final = 3


def troubles(status: Status) -> list[Trouble]:
    """The troubles of an agent that runs, the gravest first, each with `code`, `subject`, `since_ms`.

    `status` is what control answers; `subject` names a worker, or nothing; `since_ms` is 0 where
    the beginning is not known.
    """
    found = [
        *_of_workers(status),
        *_of_polling(status),
        *_of_the_spool(status),
        *_of_the_server(status),
        *_of_the_clock(status),
        *_of_the_account(status),
    ]
    return sorted(found, key=lambda trouble: _GRAVITY.index(trouble["code"]))


def trouble(code: Code, subject: str = "", since_ms: int = 0) -> Trouble:
    """One trouble."""
    return {"code": code, "subject": subject, "since_ms": since_ms}


def _lately_ms(status: Status) -> float:
    """Since when something happened of late."""
    return float(status["now_ms"] - window_s(status["interval_ms"]) * 1000)


def _of_workers(status: Status) -> list[Trouble]:
    found = []
    now_ms = status["now_ms"]
    lately_ms = _lately_ms(status)
    # A time that is to come is of a clock that was set back since.
    is_new = 0 <= now_ms - status["control"]["started_ms"] < _START_MS
    for name, worker in status["workers"].items():
        deaths = [death_ms for death_ms in worker["deaths_ms"] if lately_ms <= death_ms <= now_ms]
        if len(deaths) >= _DEATHS:
            found.append(trouble(Code.WORKER_DIES, name, deaths[0]))
        elif not worker["pid"] and (deaths or not is_new):
            found.append(trouble(Code.WORKER_GONE, name, deaths[-1] if deaths else 0))
    return found


def _of_polling(status: Status) -> list[Trouble]:
    """A collector that is there and polls nothing; that it is not there is told already."""
    silence_ms = _silence_ms(status)
    begun_ms = max(status["polls"]["last_ms"], status["workers"]["collector"]["started_ms"])
    if status["workers"]["collector"]["pid"] and status["now_ms"] > begun_ms + silence_ms:
        return [trouble(Code.NO_POLLS, since_ms=status["polls"]["last_ms"])]
    return []


def is_own_fault(status: Status) -> bool:
    """Whether polls wait for something that this host lacks, and not for the server."""
    lacks = status["workers"]["uploader"]["troubles"].keys() & {"spool", "posts"}
    return bool(lacks) and not status["posts"]["failing_since_ms"]


def _of_the_spool(status: Status) -> list[Trouble]:
    """An uploader that cannot keep polls, or is there and keeps none."""
    uploader = status["workers"]["uploader"]
    if "spool" in uploader["troubles"]:
        return [trouble(Code.SPOOL_TAKES_NOTHING)]
    waiting_ms = status["polls"]["oldest_in_channel_ms"]
    offered_ms = max(waiting_ms, uploader["started_ms"])
    if waiting_ms and uploader["pid"] and status["now_ms"] > offered_ms + _silence_ms(status):
        return [trouble(Code.NOTHING_KEPT, since_ms=waiting_ms)]
    return []


def _silence_ms(status: Status) -> int:
    """How long a worker may say nothing of polls."""
    return int(max(_TICKS * status["interval_ms"], _LEAST_SILENCE_MS))


def _of_the_server(status: Status) -> list[Trouble]:
    """Nothing was taken since there was something to take, and since it was asked for it.

    Where this host is at fault that is said instead, unless the trouble of the spool says it already.
    What an agent that is new found waiting is no fault of the server's yet; nor is what never came
    out of memory.
    """
    in_memory_ms = status["polls"]["oldest_in_channel_ms"]
    is_stuck = 0 < in_memory_ms < status["now_ms"] - _KEEPING_MS
    if is_stuck and not status["posts"]["failing_since_ms"]:
        return []
    waiting_ms = status["polls"]["oldest_waiting_ms"]
    asked_ms = status["posts"]["last_ms"] or status["control"]["started_ms"]
    since_ms = max(waiting_ms, asked_ms)
    if since_ms > status["now_ms"]:
        # The clock was set back; only what failed since then has a time that means something.
        since_ms = status["posts"]["failing_since_ms"]
    if waiting_ms and is_behind(since_ms, status["posts"]["spacing_ms"], status["now_ms"]):
        if not is_own_fault(status):
            return [trouble(Code.SERVER_TAKES_NOTHING, since_ms=since_ms)]
        if not _of_the_spool(status):
            return [trouble(Code.CANNOT_POST, since_ms=since_ms)]
    return []


def _of_the_clock(status: Status) -> list[Trouble]:
    if status["polls"]["last_ms"] > status["now_ms"] + AHEAD_MS:
        return [trouble(Code.TIMES_AHEAD)]
    return []


def _of_the_account(status: Status) -> list[Trouble]:
    recent, polls = status["recent"], status["polls"]
    found = []
    # A spool that was found to be damaged at the start lost polls before there was anything recent.
    is_lately = _lately_ms(status) <= polls["last_dropped_ms"] <= status["now_ms"]
    if recent["dropped"] or is_lately:
        found.append(trouble(Code.DROPPING))
    if recent["quarantined"]:
        found.append(trouble(Code.QUARANTINE))
    if polls["unaccounted"]:
        found.append(trouble(Code.UNACCOUNTED))
    return found
