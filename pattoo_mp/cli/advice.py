"""The one-line text for each trouble: what is wrong, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.words import age, moment
from pattoo_mp.control.outputs import of_output
from pattoo_mp.control.troubles import Code
from pattoo_mp.program import this_program
from pattoo_mp.upload.fault import Fault, expected
from pattoo_mp.upload.fault import advice as fault_advice
from pattoo_mp.util import text
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.control.troubles import Status, Trouble


def advice(status: Status, trouble: Trouble) -> str:
    """The line for `trouble`, one of those in `status`. It begins with the output that has it."""
    line = _LINES.get(str(trouble["code"]), _unknown)
    output = str(trouble.get("output", ""))
    if not output:
        return line(status, trouble)
    return f"{output}: {line(of_output(status, output), trouble)}"


def _control_silent(status: Status, _: Trouble) -> str:
    pid = status["control"]["pid"]
    if not pid:
        return (
            "the control process does not answer, and the kernel does not name it here: it is in another "
            "container or on another host. Run the command there"
        )
    return (
        f"the control process ({pid}) does not answer. It hangs or was stopped: "
        f"kill -CONT {pid} resumes a stopped one; else --restart, with --force if that fails"
    )


def _worker_gone(status: Status, trouble: Trouble) -> str:
    worker = _worker(status, trouble)
    last_end = f", last ended by {worker['last_death']}" if worker["last_death"] else ""
    return (
        f"the {trouble['subject']} is not running{last_end}. It is restarted automatically; if it "
        f"keeps ending, see {this_program().log_name} for the reason"
    )


def _worker_hangs(status: Status, trouble: Trouble) -> str:
    worker = _worker(status, trouble)
    left = worker["left_behind"]
    which = ", ".join(f"process {one['pid']}" for one in left)
    places = ", ".join(dict.fromkeys(one["place"] for one in left if one["place"]))
    beside = "Another one does its work" if worker["pid"] else "No other one runs until it ends"
    return (
        f"the {trouble['subject']} ({which}) hangs in the kernel{f', in {places}' if places else ''}, "
        f"and cannot be killed. {beside}. Restore what it waits for: "
        f"ps -o stat,wchan -p {left[0]['pid']} shows where it hangs"
    )


def _worker_dies(status: Status, trouble: Trouble) -> str:
    return (
        f"the {trouble['subject']} keeps dying, last by {_worker(status, trouble)['last_death']}. "
        f"See {this_program().log_name} from {moment(int(trouble['since_ms']))} on for the reason"
    )


def _no_polls(status: Status, trouble: Trouble) -> str:
    pid = status["workers"]["collector"]["pid"]
    since = f"since {moment(int(trouble['since_ms']))}" if trouble["since_ms"] else "yet"
    if spokes := status.get("spokes"):
        return (
            f"no spoke has given a poll {since}; {spokes['well']} of {spokes['count']} answer. See below why the "
            "others do not, and ip_targets if there are none; --doctor asks each once"
        )
    return (
        f"nothing has been polled {since}. The collector hangs or was stopped: "
        f"ps -o stat,wchan -p {pid} shows which; kill -CONT {pid} resumes a stopped one, "
        "else --restart"
    )


def _spool_takes_nothing(status: Status, _: Trouble) -> str:
    return (
        f"the spool cannot store polls ({_reported(status, 'spool')}). "
        f"They wait in memory ({status['polls']['in_channel']} now), which has room for some "
        "thousands: check the disk of cache_directory; a restart before it works would lose them"
    )


def _journal_held(status: Status, _: Trouble) -> str:
    return (
        f"the spool's journal cannot shrink ({_reported(status, 'journal', 'another process reads it')}). "
        "End that process: when the journal and the spool reach spool_max_bytes, polls wait in memory"
    )


def _nothing_kept(status: Status, trouble: Trouble) -> str:
    pid = status["workers"]["uploader"]["pid"]
    return (
        f"polls have been waiting in memory since {moment(int(trouble['since_ms']))} "
        f"({status['polls']['in_channel']} now), and the uploader does not respond. It hangs or "
        f"was stopped: ps -o stat,wchan -p {pid} shows which; kill -CONT {pid} resumes a stopped one, "
        "and a hung one is replaced within a minute"
    )


def _times_ahead(status: Status, _: Trouble) -> str:
    ahead_s = (status["polls"]["last_ms"] - status["now_ms"]) / 1000
    return (
        f"polls carry times {text.duration(ahead_s)} ahead of this host's clock, which was set "
        "back, or was wrong before. They will be right once the clock has caught up; if that takes too "
        "long, stop the agent and move its spool away"
    )


def _cannot_post(status: Status, trouble: Trouble) -> str:
    return (
        f"nothing could be posted for {age(status['now_ms'], int(trouble['since_ms']))} "
        f"({_reported(status, 'posts')}). The cause is on this host, "
        "not on the server. Polls are kept, and will be sent once it is fixed: "
        f"see {this_program().log_name} and --doctor"
    )


def _server_takes_nothing(status: Status, trouble: Trouble) -> str:
    posts = status["posts"]
    why = f" ({posts['last_error']})" if posts["failing_since_ms"] else ""
    return (
        "the server has accepted no polls for "
        f"{age(status['now_ms'], int(trouble['since_ms']))}{why}. "
        f"Polls are kept, and will be sent once it does{_what_to_check(posts)}"
    )


def _hub_stays_away(status: Status, trouble: Trouble) -> str:
    return (
        f"the hub has fetched nothing for {age(status['now_ms'], int(trouble['since_ms']))}. Polls are kept for it "
        "within the limits of the spool: check that it runs, that it asks this host, and that no firewall is in "
        "between. One that does not come any more is given up after spool_max_age"
    )


def _spokes_fail(status: Status, trouble: Trouble) -> str:
    spokes = status["spokes"]
    return (
        f"{spokes['lasting']} of {spokes['count']} spokes have not answered well since "
        f"{moment(int(trouble['since_ms']))} or later. See below which and why; if they have a network or a "
        "firewall in common, check that first. --doctor asks each once"
    )


def _what_to_check(posts: dict[str, Any]) -> str:
    """The end of the sentence: what to check. Empty if the error message itself says it."""
    kind = posts.get("last_fault", "").upper() if posts["failing_since_ms"] else ""
    if kind in {Fault.NOT_PATTOO.name, Fault.DENIED.name}:
        return ""
    # The status may come from a later release, with a fault that is not known here.
    # A control process of an earlier release does not say which settings name the server.
    named = posts.get("named_by", "servers")
    known = fault_advice(Fault[kind], named) if kind in Fault.__members__ else ""
    if known:
        return f": {known}"
    if kind and posts["last_error"].startswith("status "):
        return f": something answers, but not as {expected(named)} does: check the server's log, and {named}"
    return f": check that {posts['server'] or 'it'} can be reached from this host"


def _dropping(status: Status, _: Trouble) -> str:
    recent = status["recent"]
    if recent["dropped"]:
        dropped = (
            f"{counted(recent['dropped'], 'poll')} dropped in the last "
            f"{text.duration(recent['seconds'])}"
        )
    else:
        dropped = f"polls were dropped at {moment(status['polls']['last_dropped_ms'])}"
    return (
        f"{dropped}. The row Dropped gives the reasons: bring the server back, make room on the "
        "disk, or raise spool_max_bytes and spool_max_age"
    )


def _quarantine(status: Status, _: Trouble) -> str:
    return (
        f"{counted(status['recent']['quarantined'], 'poll')} set aside in the last "
        f"{text.duration(status['recent']['seconds'])}. The server refuses them but accepts "
        f"others: see {this_program().log_name}, and the server's log, for the reason"
    )


def _devices_change(status: Status, _: Trouble) -> str:
    recent = status["recent"]
    return (
        f"mounts, interfaces or other devices came or went {counted(recent.get('layouts', 0), 'time')} in the "
        f"last {text.duration(recent['seconds'])}, and each change costs processor time. {this_program().log_name} "
        "names them once a minute: leave them out with mounts_exclude, interfaces_exclude or disks_exclude"
    )


def _unaccounted(status: Status, _: Trouble) -> str:
    return (
        f"{counted(status['polls']['unaccounted'], 'poll')} cannot be accounted for. This is a "
        f"defect of the agent: please report it, with {this_program().log_name}"
    )


def _unknown(_: Status, trouble: Trouble) -> str:
    return (
        f"{trouble['code']}, a code that this command does not know. The running agent is of "
        "another release: --restart"
    )


def _worker(status: Status, trouble: Trouble) -> dict[str, Any]:
    """The worker that a trouble is about. A later release may name one that the status lacks."""
    return status["workers"].get(trouble["subject"]) or {"last_death": "an unknown cause"}


def _reported(status: Status, what: str, otherwise: str = "for an unknown reason") -> str:
    """Why the uploader cannot do it, in its own words.

    The status may be of a moment at which it had just been replaced.
    """
    why: str = status["workers"]["uploader"]["troubles"].get(what, otherwise)
    return why


_LINES: Final[dict[str, Callable[[Status, Trouble], str]]] = {
    Code.CONTROL_SILENT: _control_silent,
    Code.WORKER_GONE: _worker_gone,
    Code.WORKER_HANGS: _worker_hangs,
    Code.WORKER_DIES: _worker_dies,
    Code.NO_POLLS: _no_polls,
    Code.SPOOL_TAKES_NOTHING: _spool_takes_nothing,
    Code.NOTHING_KEPT: _nothing_kept,
    Code.CANNOT_POST: _cannot_post,
    Code.SERVER_TAKES_NOTHING: _server_takes_nothing,
    Code.HUB_STAYS_AWAY: _hub_stays_away,
    Code.JOURNAL_HELD: _journal_held,
    Code.SPOKES_FAIL: _spokes_fail,
    Code.TIMES_AHEAD: _times_ahead,
    Code.DROPPING: _dropping,
    Code.QUARANTINE: _quarantine,
    Code.DEVICES_CHANGE: _devices_change,
    Code.UNACCOUNTED: _unaccounted,
}
