"""Each trouble in one line: what it is, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.words import age, moment
from pattoo_mp.control.troubles import Code
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.fault import advice as advice_on
from pattoo_mp.util import text
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.control.troubles import Status, Trouble


def advice(status: Status, trouble: Trouble) -> str:
    """The line for one of the status's troubles."""
    return _LINES.get(str(trouble["code"]), _unknown)(status, trouble)


def _control_silent(status: Status, _: Trouble) -> str:
    return (
        f"process {status['control']['pid']} (control) does not answer. It hangs, or somebody "
        f"stopped it: kill -CONT {status['control']['pid']}, or --restart, with --force if need be"
    )


def _worker_gone(status: Status, trouble: Trouble) -> str:
    worker = _worker(status, trouble)
    ended = f", last ended by {worker['last_death']}" if worker["last_death"] else ""
    return (
        f"the {trouble['subject']} does not run{ended}. It is started again by itself; if it does "
        "not stay, pattoo.log says why"
    )


def _worker_dies(status: Status, trouble: Trouble) -> str:
    return (
        f"the {trouble['subject']} keeps dying, last by {_worker(status, trouble)['last_death']}. "
        f"pattoo.log says why, from {moment(int(trouble['since_ms']))} on"
    )


def _no_polls(status: Status, trouble: Trouble) -> str:
    pid = status["workers"]["collector"]["pid"]
    since = f"since {moment(int(trouble['since_ms']))}" if trouble["since_ms"] else "yet"
    return (
        f"nothing was polled {since}. The collector hangs, or somebody stopped it: "
        f"ps -o stat,wchan -p {pid} says which; kill -CONT {pid}, or --restart"
    )


def _spool_takes_nothing(status: Status, _: Trouble) -> str:
    return (
        f"the spool takes nothing ({status['workers']['uploader']['troubles']['spool']}). "
        f"Polls wait in memory ({status['polls']['in_channel']} now), where there is room for "
        "some thousands: see to the disk of cache_directory, and do not restart before"
    )


def _nothing_kept(status: Status, trouble: Trouble) -> str:
    pid = status["workers"]["uploader"]["pid"]
    return (
        f"polls wait in memory since {moment(int(trouble['since_ms']))} "
        f"({status['polls']['in_channel']} now), and the uploader says nothing. It hangs, or somebody "
        f"stopped it: ps -o stat,wchan -p {pid} says which; kill -CONT {pid}, or wait: it is replaced "
        "in a minute"
    )


def _times_ahead(status: Status, _: Trouble) -> str:
    ahead_s = (status["polls"]["last_ms"] - status["now_ms"]) / 1000
    return (
        f"polls carry times that are {text.duration(ahead_s)} ahead of this host's clock, which was set "
        "back, or was wrong before. They are right once it has caught up; if that is too long, stop "
        "the agent and move its spool away"
    )


def _cannot_post(status: Status, trouble: Trouble) -> str:
    return (
        f"nothing could be posted for {age(status['now_ms'], int(trouble['since_ms']))} "
        f"({status['workers']['uploader']['troubles']['posts']}). That is this host's fault, and "
        "not the server's. Polls are kept, and sent once it is mended: pattoo.log says more, and "
        "so may --doctor"
    )


def _server_takes_nothing(status: Status, trouble: Trouble) -> str:
    posts = status["posts"]
    why = f" ({posts['last_error']})" if posts["failing_since_ms"] else ""
    return (
        f"the server has taken nothing for {age(status['now_ms'], int(trouble['since_ms']))}{why}. "
        f"Polls are kept, and sent when it does{_what_to_see_to(posts)}"
    )


def _what_to_see_to(posts: dict[str, Any]) -> str:
    """To end the sentence with; nothing where the error itself says it."""
    kind = posts.get("last_fault", "").upper() if posts["failing_since_ms"] else ""
    if kind in {Fault.NOT_PATTOO.name, Fault.DENIED.name}:
        return ""
    known = advice_on(Fault[kind], "servers") if kind in Fault.__members__ else ""
    return (
        f": {known}" if known else f": see that {posts['server'] or 'it'} can be reached from here"
    )


def _dropping(status: Status, _: Trouble) -> str:
    recent = status["recent"]
    if recent["dropped"]:
        dropped = f"{counted(recent['dropped'], 'poll')} dropped in the last {text.duration(recent['seconds'])}"
    else:
        dropped = f"polls were dropped at {moment(status['polls']['last_dropped_ms'])}"
    return (
        f"{dropped}. See the reasons at Dropped: bring the server back, make room on the disk, or "
        "raise spool_max_bytes and spool_max_age"
    )


def _quarantine(status: Status, _: Trouble) -> str:
    return (
        f"{counted(status['recent']['quarantined'], 'poll')} set aside in the last "
        f"{text.duration(status['recent']['seconds'])}. The server refuses them and takes others: "
        "pattoo.log says why, and so should the server's log"
    )


def _unaccounted(status: Status, _: Trouble) -> str:
    return (
        f"{counted(status['polls']['unaccounted'], 'poll')} cannot be accounted for. This is a "
        "defect of the agent: please report it, with pattoo.log"
    )


def _unknown(_: Status, trouble: Trouble) -> str:
    return (
        f"{trouble['code']}, which this command does not know. The agent that runs is of another "
        "release: --restart"
    )


def _worker(status: Status, trouble: Trouble) -> dict[str, Any]:
    worker: dict[str, Any] = status["workers"][trouble["subject"]]
    return worker


_LINES: Final[dict[str, Callable[[Status, Trouble], str]]] = {
    Code.CONTROL_SILENT: _control_silent,
    Code.WORKER_GONE: _worker_gone,
    Code.WORKER_DIES: _worker_dies,
    Code.NO_POLLS: _no_polls,
    Code.SPOOL_TAKES_NOTHING: _spool_takes_nothing,
    Code.NOTHING_KEPT: _nothing_kept,
    Code.CANNOT_POST: _cannot_post,
    Code.SERVER_TAKES_NOTHING: _server_takes_nothing,
    Code.TIMES_AHEAD: _times_ahead,
    Code.DROPPING: _dropping,
    Code.QUARANTINE: _quarantine,
    Code.UNACCOUNTED: _unaccounted,
}
