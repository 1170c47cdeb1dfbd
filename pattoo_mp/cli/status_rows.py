"""The status as rows of a label and a text, as `--status` shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pattoo_mp.cli.advice import advice
from pattoo_mp.cli.words import age, counts, moment, rate
from pattoo_mp.control.run_directory import holder
from pattoo_mp.control.troubles import is_local_trouble
from pattoo_mp.model import AHEAD_MS, PROGRAM
from pattoo_mp.util import text
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report; `bad` rows are highlighted on a terminal."""

    label: str
    text: str
    bad: bool = False


def heading(status: Status) -> str:
    """The first line, worded as by every pattoo agent."""
    return f"Daemon is {'stopped' if status['state'] == 'stopped' else 'running'} - {PROGRAM}"


def rows(status: Status, before: Status | None = None) -> list[Row]:
    """The rows below the heading: the troubles first, then everything else.

    `status` is the control process's answer. With an earlier answer as `before`, CPU use is that
    between the two; else it is that since the process started.
    """
    found = [Row("Trouble", advice(status, trouble), bad=True) for trouble in status["troubles"]]
    if status["state"] == "stopped":
        found += _stopped(status)
    elif status["state"] == "silent":
        found.append(Row("Control", holder(status["control"]["pid"])))
    elif status["state"] == "running":
        found += _processes(status, before)
        found += _traffic(status)
        found += _ledger(status)
        found += _errors(status)
        found += _log(status)
    # Error messages, mount names and unknown workers may contain any character.
    return [replace(row, label=printable(row.label), text=printable(row.text)) for row in found]


def _log(status: Status) -> Iterator[Row]:
    """The log that troubles refer to. A control process of an earlier release does not name it."""
    if status.get("log_file"):
        zone = datetime.now().astimezone().strftime("UTC%z")
        yield Row("Log", f"{status['log_file']}; times are {zone}")


def _stopped(status: Status) -> Iterator[Row]:
    """Which agent was looked for, as another one may run with other files; and how it ended."""
    by = f" (configuration: {status['configuration']})" if status["configuration"] else ""
    yield Row("PID file", f"{status['pid_file']} is not locked, so no agent is running{by}")
    if status["cut_short_pid"]:
        yield Row(
            "Last run",
            f"process {status['cut_short_pid']} did not end in order: it was killed, it crashed, or "
            "the host went down. See pattoo.log and dmesg",
            bad=True,
        )


def _processes(status: Status, before: Status | None) -> Iterator[Row]:
    yield Row("Control", _process(status, before, "control"))
    for name, worker in status["workers"].items():
        shown = _process(status, before, "workers", name) if worker["pid"] else "not running"
        if worker["restarts"]:
            shown += (
                f", restarted {counted(worker['restarts'], 'time')}, "
                f"last ended by {worker['last_death']}"
            )
        yield Row(name.capitalize(), shown, bad=not worker["pid"])


def _process(status: Status, before: Status | None, *path: str) -> str:
    process = _at(status, path)
    earlier = _at(before, path) if before and before["state"] == "running" else {}
    if earlier.get("pid") == process["pid"]:
        cpu_s, since_ms = earlier["cpu_s"], status["now_ms"] - (before or status)["now_ms"]
    else:
        cpu_s, since_ms = 0.0, status["now_ms"] - process["started_ms"]
    shown = (
        f"process {process['pid']} since {moment(process['started_ms'])}, "
        f"{text.size(process['memory_bytes'])}"
    )
    if since_ms <= 0:
        return shown  # the clock was set back, so the elapsed time is not known
    return f"{shown}, {(process['cpu_s'] - cpu_s) * 1000 / since_ms:.1%} CPU"


def _at(status: Status, path: tuple[str, ...]) -> dict[str, Any]:
    found = status
    for name in path:
        found = found[name]
    return found


def _traffic(status: Status) -> Iterator[Row]:
    polls, posts, now_ms = status["polls"], status["posts"], status["now_ms"]
    # A control process of an earlier release reports one interval only.
    every = text.intervals(status.get("intervals_ms") or [status["interval_ms"]])
    yield Row("Last poll", f"{moment(polls['last_ms'])}, every {every}")
    instead_of = posts.get("instead_of")
    instead = f", instead of {instead_of}" if instead_of else ""
    yield Row("Server", f"{posts['server'] or 'not known yet'}{instead}")
    is_new = not posts["last_ms"] and polls["delivered"]
    yield Row("Last post", "none since the start" if is_new else moment(posts["last_ms"]))
    if polls["last_delivered_ms"]:
        delivered = polls["last_delivered_ms"]
        lag = "none" if delivered > now_ms + AHEAD_MS else age(now_ms, delivered)
        yield Row("Lag", f"{lag}: the server has polls up to {moment(delivered)}")
    else:
        yield Row("Lag", "the server has no poll yet")
    yield Row("Rates", _rates(status["recent"]))


def _rates(recent: dict[str, float]) -> str:
    seconds = recent["seconds"]
    if not seconds:
        return "not known yet"
    return (
        f"{rate(recent['polled'], seconds, 'poll')}, {rate(recent['posts'], seconds, 'post')}, "
        f"{text.size(recent['sent_bytes'] / seconds)}/s, over the last {text.duration(seconds)}"
    )


def _ledger(status: Status) -> Iterator[Row]:
    polls = status["polls"]
    yield Row(
        "Polled", f"{counted(polls['polled'], 'poll')}, {polls['since_start']} since the start"
    )
    yield Row("Delivered", counted(polls["delivered"], "poll"))
    yield Row("Waiting", waiting(status), bad=bool(status["backlog"]["polls"]))
    yield Row("Dropped", counts(polls["dropped"], "poll"), bad=bool(status["recent"]["dropped"]))
    yield Row(
        "Quarantine",
        counted(polls["quarantined"], "poll"),
        bad=bool(status["recent"]["quarantined"]),
    )
    yield Row("Missed", counts(status["missed"], "tick"), bad=bool(status["recent"]["missed"]))
    if status["gaps"]:
        yield Row("Last gap", _gap(status["gaps"][-1]))


def waiting(status: Status) -> str:
    """How many polls wait, how old the oldest is, and how fast the server accepts the backlog."""
    polls, backlog = status["polls"], status["backlog"]
    shown = counted(polls["in_channel"] + polls["in_spool"], "poll")
    if polls["oldest_waiting_ms"]:
        shown += f", the oldest {age(status['now_ms'], polls['oldest_waiting_ms'])} old"
    if not backlog["polls"] or is_local_trouble(status):
        return shown
    if backlog["taken_per_s"] is None:
        return f"{shown}; the server is accepting none"
    speed = rate(backlog["taken_per_s"], 1, "poll")
    if backlog["gone_in_s"] is None:
        return f"{shown}; the server accepts {speed}, no more than arrive"
    all_sent = text.duration(backlog["gone_in_s"])
    return f"{shown}; the server accepts {speed}, all sent in about {all_sent}"


def _gap(gap: dict[str, Any]) -> str:
    between = f"between {moment(gap['after_ms'])} and {moment(gap['before_ms'])}"
    what = counted(gap["ticks"], "tick")
    if not gap["ticks"]:
        what = f"the clock went {age(gap['before_ms'], gap['after_ms'])} ahead"
    return f"{what} {between}: {gap['reason']}"


def _error(posts: dict[str, Any], now_ms: int) -> str:
    if not posts["last_error"]:
        return "none"
    shown = f"{posts['last_error']} ({moment(posts['last_error_ms'])}"
    if posts["failing_since_ms"]:
        since = moment(posts["failing_since_ms"])
        return f"{shown}, failing since {since}{_next_attempt(posts, now_ms)})"
    return f"{shown}, no error since)"


def _next_attempt(posts: dict[str, Any], now_ms: int) -> str:
    # A control process of an earlier release does not send this.
    next_ms = posts.get("next_post_ms")
    if not next_ms:
        return ""
    when = f"in {text.duration((next_ms - now_ms) / 1000)}" if next_ms > now_ms else "now"
    return f", next attempt {when}"


def _errors(status: Status) -> Iterator[Row]:
    """The last error of a post, and rows that are shown only if there is something to report."""
    failing = bool(status["posts"]["failing_since_ms"])
    yield Row("Last error", _error(status["posts"], status["now_ms"]), bad=failing)
    old = status["old_posts"]
    if any(old.values()):
        yield Row(
            "Old posts",
            f"of the original agent: {old['delivered']} delivered, {old['waiting']} waiting, "
            f"{old['put_aside']} set aside",
        )
    reload = status["reload"]
    for problem in reload["problems"]:
        yield Row("Reload refused", f"{problem} (read {moment(reload['at_ms'])})", bad=True)
    for name, worker in status["workers"].items():
        for what, why in worker["troubles"].items():
            yield Row(f"  {name}", f"{what}: {why}", bad=True)
