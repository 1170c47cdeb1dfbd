"""The status as rows of a label and a text, as `--status` shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pattoo_mp.cli import output_table
from pattoo_mp.cli.advice import advice
from pattoo_mp.cli.words import age, counts, moment, rate
from pattoo_mp.config.values import PULL
from pattoo_mp.control.outputs import HUB, of_output
from pattoo_mp.control.run_directory import holder
from pattoo_mp.control.spokes import BAD_SPOKES
from pattoo_mp.control.troubles import is_local_trouble
from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.program import this_program
from pattoo_mp.util import text
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report; `bad` rows are highlighted on a terminal.

    A row without a label is a line of the table of outputs. `output` names the output whose row it
    is, if there are several.
    """

    label: str
    text: str
    bad: bool = False
    output: str = ""


def heading(status: Status) -> str:
    """The first line, worded as by every pattoo agent."""
    return f"Daemon is {'stopped' if status['state'] == 'stopped' else 'running'} - {this_program().name}"


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
        found += _spokes(status)
        several = output_names(status)
        found += _outputs(status, several) if several else _output(status)
        found += _seldom(status)
        found += _log(status)
    # Error messages, mount names and unknown workers may contain any character.
    return [replace(row, label=printable(row.label), text=printable(row.text)) for row in found]


def output_names(status: Status) -> list[str]:
    """The names of the outputs if there are several; else an empty list."""
    names = [output["name"] for output in status.get("outputs", [])]
    return names if len(names) > 1 else []


def _output(status: Status) -> Iterator[Row]:
    """The rows of an agent with one output."""
    yield _last_poll(status)
    yield _server(status)
    if _kind(status) == PULL:
        yield from _shown(status)
        return
    is_new = not status["posts"]["last_ms"] and status["polls"]["delivered"]
    last_ms = status["posts"]["last_ms"]
    yield Row("Last post", "none since the start" if is_new else moment(last_ms))
    yield _lag(status)
    yield Row("Rates", _rates(status["recent"]))
    yield _polled(status)
    yield Row("Delivered", counted(status["polls"]["delivered"], "poll"))
    yield _waiting(status)
    yield _dropped(status)
    quarantined = counted(status["polls"]["quarantined"], "poll")
    yield Row("Quarantine", quarantined, bad=bool(status["recent"]["quarantined"]))
    yield from _missed(status)
    yield _last_error(status)


def _shown(status: Status) -> Iterator[Row]:
    """The further rows of an agent whose one output is fetched, and that no hub has fetched from yet."""
    last_ms = status["posts"]["last_ms"]
    yield Row("Last request", moment(last_ms) if last_ms else "none since the start")
    yield Row("Rates", _rates(status["recent"]))
    yield _polled(status)
    yield Row("Shown", counted(status["polls"]["delivered"], "poll"))
    yield _waiting(status)
    yield _dropped(status)
    yield from _missed(status)
    yield _last_error(status)


def _kind(status: Status) -> str:
    """The kind of the output that a status is about; a control process of an earlier release has none."""
    outputs = status.get("outputs") or [{}]
    return str(status.get("kind") or outputs[0].get("kind", ""))


def _outputs(status: Status, names: list[str]) -> Iterator[Row]:
    """The rows of an agent with several outputs."""
    each = {name: of_output(status, name) for name in names}
    yield _last_poll(status)
    yield _polled(status)
    yield from _missed(status)
    yield Row("Rates", _rates(_together(each)))
    yield from (Row("", line) for line in output_table.lines(each))
    for name, own in each.items():
        for row in _details(own):
            yield replace(row, text=f"{name}: {row.text}", output=name)


def _details(status: Status) -> Iterator[Row]:
    """What the table has no room for: the server of an output, and what is wrong with it."""
    yield _server(status)
    if before := status["polls"].get("before", 0):
        since = "it first came" if _kind(status) == HUB else "it was configured"
        yield Row("Polled", f"{counted(before, 'poll')} before {since}, which it does not get")
    if status["backlog"]["polls"]:
        yield _waiting(status)
    if status["polls"]["dropped"]:
        yield _dropped(status)
    if status["posts"]["last_error"]:
        yield _last_error(status)


def _together(each: dict[str, Status]) -> dict[str, float]:
    """The recent counts of all outputs. All have the same polls and the same time."""
    recent = [status["recent"] for status in each.values()]
    sums = {name: sum(counts[name] for counts in recent) for name in ("posts", "sent_bytes")}
    return {**recent[0], **sums}


def _log(status: Status) -> Iterator[Row]:
    """The log that troubles refer to. A control process of an earlier release does not name it."""
    if status.get("log_file"):
        zone = datetime.now().astimezone().strftime("UTC%z")
        yield Row("Log", f"{status['log_file']}; times are {zone}")
    if status.get("variables"):
        yield Row("Variables", f"{', '.join(status['variables'])}: these override its files")


def _stopped(status: Status) -> Iterator[Row]:
    """Which agent was looked for, as another one may run with other files; and how it ended."""
    by = f" (configuration: {status['configuration']})" if status["configuration"] else ""
    yield Row(
        "PID file", f"{status['pid_file']} is not locked, so no agent that uses it is running{by}"
    )
    if status["cut_short_pid"]:
        yield Row(
            "Last run",
            f"process {status['cut_short_pid']} did not end in order: it was killed, it crashed, or "
            f"the host went down. See {this_program().log_name} and dmesg",
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


def _spokes(status: Status) -> Iterator[Row]:
    """How a hub's spokes answer, and the worst of them."""
    spokes = status.get("spokes")
    if spokes is None:
        return
    states = [f"{spokes[state]} {state}" for state in SpokeState if spokes[state]]
    late = f"; requests begin {spokes['late_p99_ms']:.0f} ms late (p99)" if spokes["count"] else ""
    worst = spokes["worst"]
    yield Row("Spokes", f"{', '.join(states) or 'none'}{late}", bad=bool(worst))
    for spoke in worst:
        since = f"{spoke['state']} since {moment(spoke['since_ms'])}"
        yield Row(f"  {spoke['name']}", f"{since}: {spoke['why']}", bad=True)
    hidden = sum(spokes[state] for state in BAD_SPOKES) - len(worst)
    if hidden:
        yield Row("", f"and {hidden} more; --json has all")


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


def _last_poll(status: Status) -> Row:
    # A control process of an earlier release reports one interval only.
    every = text.intervals(status.get("intervals_ms") or [status["interval_ms"]])
    return Row("Last poll", f"{moment(status['polls']['last_ms'])}, every {every}")


def _server(status: Status) -> Row:
    posts = status["posts"]
    instead_of = posts.get("instead_of")
    instead = f", instead of {instead_of}" if instead_of else ""
    label = {PULL: "Listens at", HUB: "Hub"}.get(_kind(status), "Server")
    return Row(label, f"{posts['server'] or 'not known yet'}{instead}")


def _lag(status: Status) -> Row:
    delivered_ms = status["polls"]["last_delivered_ms"]
    if not delivered_ms:
        return Row("Lag", "the server has no poll yet")
    return Row(
        "Lag", f"{output_table.lag(status)}: the server has polls up to {moment(delivered_ms)}"
    )


def _rates(recent: dict[str, float]) -> str:
    seconds = recent["seconds"]
    if not seconds:
        return "not known yet"
    return (
        f"{rate(recent['polled'], seconds, 'poll')}, {rate(recent['posts'], seconds, 'post')}, "
        f"{text.size(recent['sent_bytes'] / seconds)}/s, over the last {text.duration(seconds)}"
    )


def _polled(status: Status) -> Row:
    polls = status["polls"]
    polled = counted(polls["polled"], "poll")
    # A control process of an earlier release does not count the polls before an output.
    before = 0 if output_names(status) else polls.get("before", 0)
    earlier = f", {before} before this output was configured" if before else ""
    return Row("Polled", f"{polled}, {polls['since_start']} since the start{earlier}")


def _waiting(status: Status) -> Row:
    return Row("Waiting", waiting(status), bad=bool(status["backlog"]["polls"]))


def _dropped(status: Status) -> Row:
    dropped = counts(status["polls"]["dropped"], "poll")
    return Row("Dropped", dropped, bad=bool(status["recent"]["dropped"]))


def _missed(status: Status) -> Iterator[Row]:
    missed = counts(status["missed"], "tick")
    yield Row("Missed", missed, bad=bool(status["recent"]["missed"]))
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


def _last_error(status: Status) -> Row:
    failing = bool(status["posts"]["failing_since_ms"])
    return Row("Last error", _error(status["posts"], status["now_ms"]), bad=failing)


def _seldom(status: Status) -> Iterator[Row]:
    """Rows that are shown only if there is something to report."""
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
