"""The status in words, for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

_LABEL_WIDTH: Final = 15


def lines(status: dict[str, Any]) -> list[str]:
    """The lines of `--status` below its first; `status` is what control answers."""
    polls, posts = status["polls"], status["posts"]
    rows = [("Control", _process(status["control"]))]
    rows += [(name.capitalize(), _worker(worker)) for name, worker in status["workers"].items()]
    rows += [
        ("Last poll", f"{_time(polls['last_ms'])}, every {status['interval_ms'] / 1000:g} s"),
        ("Server", posts["server"] or "not known yet"),
        ("Last post", _time(posts["last_ms"])),
        ("Polled", f"{_number(polls['polled'], 'poll')}, {polls['since_start']} since the start"),
        ("Delivered", _number(polls["delivered"], "poll")),
        ("Waiting", _number(polls["in_channel"] + polls["in_spool"], "poll")),
        ("Dropped", _counts(polls["dropped"], "poll")),
        ("Quarantine", _number(polls["quarantined"], "poll")),
        ("Missed", _counts(status["missed"], "tick")),
        *_last_gap(status["gaps"]),
        ("Last error", _error(posts)),
    ]
    old = status["old_posts"]
    if any(old.values()):
        rows.append(
            (
                "Old posts",
                f"{old['delivered']} of the original agent delivered, {old['waiting']} waiting, "
                f"{old['put_aside']} put aside",
            )
        )
    if polls["unaccounted"]:
        rows.append(
            (
                "Unaccounted",
                f"{_number(polls['unaccounted'], 'poll')}; this is a defect of the agent",
            )
        )
    for name, worker in status["workers"].items():
        rows += [(f"  {name}", f"{what}: {why}") for what, why in worker["troubles"].items()]
    return [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in rows]


def _process(process: dict[str, Any]) -> str:
    return f"process {process['pid']} since {_time(process['started_ms'])}"


def _worker(worker: dict[str, Any]) -> str:
    text = _process(worker) if worker["pid"] else "not running"
    if worker["restarts"]:
        text += f", restarted {_number(worker['restarts'], 'time')}, last ended by {worker['last_death']}"
    return text


def _last_gap(gaps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    if not gaps:
        return []
    gap = gaps[-1]
    between = f"between {_time(gap['after_ms'])} and {_time(gap['before_ms'])}"
    return [("Last gap", f"{_number(gap['ticks'], 'tick')} {between}: {gap['reason']}")]


def _counts(counts: dict[str, int], unit: str) -> str:
    total = _number(sum(counts.values()), unit)
    if not counts:
        return total
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return f"{total} ({reasons})"


def _number(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _error(posts: dict[str, Any]) -> str:
    if not posts["last_error"]:
        return "none"
    text = f"{posts['last_error']} ({_time(posts['last_error_ms'])}"
    if posts["failing_since_ms"]:
        return f"{text}, failing since {_time(posts['failing_since_ms'])})"
    return f"{text}, well again since)"


def _time(ms: int) -> str:
    if not ms:
        return "never"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
