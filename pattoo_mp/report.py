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
        ("Last post", _time(posts["last_ms"])),
        ("Polls", f"{polls['polled']} since the start, {polls['delivered']} delivered"),
        ("Waiting", f"{polls['in_channel'] + polls['in_spool']} polls"),
        ("Dropped", f"{polls['dropped']} polls, {polls['quarantined']} in quarantine"),
        ("Missed", _missed(status["missed"])),
        ("Last error", _error(posts)),
    ]
    for name, worker in status["workers"].items():
        rows += [(f"  {name}", f"{what}: {why}") for what, why in worker["troubles"].items()]
    return [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in rows]


def _process(process: dict[str, Any]) -> str:
    return f"process {process['pid']} since {_time(process['started_ms'])}"


def _worker(worker: dict[str, Any]) -> str:
    text = _process(worker) if worker["pid"] else "not running"
    if worker["restarts"]:
        text += f", restarted {worker['restarts']} times, last ended by {worker['last_death']}"
    return text


def _missed(missed: dict[str, int]) -> str:
    if not missed:
        return "0 ticks"
    reasons = ", ".join(f"{count} {reason}" for reason, count in missed.items())
    return f"{sum(missed.values())} ticks ({reasons})"


def _error(posts: dict[str, Any]) -> str:
    if not posts["last_error"]:
        return "none"
    text = f"{posts['last_error']} at {_time(posts['last_error_ms'])}"
    if posts["failing_since_ms"]:
        return f"{text}, failing since {_time(posts['failing_since_ms'])}"
    return f"{text}, well again since"


def _time(ms: int) -> str:
    if not ms:
        return "never"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
