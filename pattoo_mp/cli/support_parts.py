"""The parts of an archive of `--support`: what each is about, and how it is made.

Each part is made in a process of its own, with a time limit: one that fails or hangs is told, and the others
are there. What it returns has no secrets any more.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sqlite3
import ssl
import stat
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.cli import check, doctor, status
from pattoo_mp.cli.support_masks import Masks, gather
from pattoo_mp.config import load, owner
from pattoo_mp.config.isolated import Reader, wait_for_result
from pattoo_mp.config.reading import read_within
from pattoo_mp.doctor import spokes
from pattoo_mp.doctor.examination import Examination
from pattoo_mp.errors import ConfigError, PattooError, where_and_why
from pattoo_mp.log.reading import LogReader
from pattoo_mp.operate.agent import configured_agent
from pattoo_mp.program import this_program
from pattoo_mp.util import users
from pattoo_mp.util.dependencies import MODULES
from pattoo_mp.util.text import counted, printable, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Files by name, each as text or, if its name ends with .json, as JSON.
_Files = dict[str, Any]

_MASKS_S: Final = 20.0
#: The doctor starts no part after this time; one that hangs takes `_DOCTOR_PART_S` more.
_DOCTOR_S: Final = 20.0
_DOCTOR_PART_S: Final = 8.0
#: Parts that ask each spoke of a hub.
_ASKS_SPOKES: Final = ("check", "doctor")
#: The most that a file in the archive has.
_FILE_CHARACTERS: Final = 4_000_000
_LOG_CHARACTERS: Final = 1_000_000
_LOG_RECORDS: Final = 20_000
_ENTRIES: Final = 2_000
_LEVELS: Final = 4
#: Names of the agent's files and directories, in directories that it may share.
_OURS: Final = re.compile(r"pattoo|^(?:agent_id|keys|pid|run)$")
#: Packages that pattoo_mp uses if they are there.
_OPTIONAL: Final = (
    "Flask", "waitress", "python-gnupg", "prometheus_client", "cramjam", "urllib3",
)  # fmt: skip
#: Variables that hold no secret. Of the others that matter, only the names are told.
_SHOWN_VARIABLES: Final = ("PATTOO_CONFIGDIR", "LANG", "LC_ALL", "TZ", "TERM", "PATH")
_TOLD_VARIABLES: Final = ("PATTOO_", "PYTHON", "LC_", "REQUESTS_", "SSL_", "CURL_")


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its files begin with `name`. `make` gets the directory of the configuration.

    Run by root, a part `as_user` is made by the agent's user, who may read no more than it may.
    """

    name: str
    about: str
    make: Callable[[Path], _Files]
    limit_s: float
    as_user: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A part that was made: its files as text, or why there are none."""

    part: Part
    texts: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    took_s: float = 0.0


def gather_masks(directory: Path) -> Masks:
    """Find out what must not be in the archive. Raises `ConfigError` if that is not known in time."""
    task = partial(gather, directory)
    return wait_for_result(Reader(directory, task, Masks.of, _MASKS_S, beside_hanging=True))


def make(part: Part, directory: Path, masks: Masks) -> Made:
    """Make a part in another process, within its time limit."""
    start = time.monotonic()
    limit_s = part.limit_s
    if this_program().is_hub and part.name in _ASKS_SPOKES:
        limit_s += spokes.WHOLE_S

    def task() -> dict[str, Any]:
        return _made(part, directory, masks)

    try:
        reader = Reader(directory, task, dict, limit_s, beside_hanging=True)
        sent: dict[str, Any] = wait_for_result(reader)
        made = Made(part, sent["texts"], sent["failure"])
    except ConfigError:
        made = Made(part, {}, f"no answer within {limit_s:g} s")
    return Made(part, made.texts, made.failure, time.monotonic() - start)


def _made(part: Part, directory: Path, masks: Masks) -> dict[str, Any]:
    """Make a part, in the process that is for it alone."""
    # Its groups go with it, so that files which only the agent's group may read are read.
    texts, failure = {}, ""
    try:
        if part.as_user and os.geteuid() == 0 and (found := owner.find_owner(directory)):
            users.become(found[0], users.groups_of(*found))
        for name, content in part.make(directory).items():
            texts[name] = _text(name, content, masks)
    except PattooError as error:
        failure = str(error)
    except OSError as error:
        failure = where_and_why(error)
    except Exception as error:  # noqa: BLE001 - whatever fails in one part, the others go on
        failure = f"{type(error).__name__}: {error}"
    return {"texts": texts, "failure": printable(masks.text(failure))}


def _text(name: str, content: Any, masks: Masks) -> str:  # noqa: ANN401 - text, or any JSON
    if name.endswith(".json"):
        text = json.dumps(masks.content(content), indent=2) + "\n"
        return text if len(text) <= _FILE_CHARACTERS else '{"failure": "too large"}\n'
    text = masks.text(str(content))
    return text if len(text) <= _FILE_CHARACTERS else f"{text[:_FILE_CHARACTERS]}\n(cut here)\n"


# --- versions


def _versions(_: Path) -> _Files:
    uname = os.uname()
    distribution = {}
    with suppress(OSError):
        distribution = platform.freedesktop_os_release()
    found = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "pattoo_mp": __version__,
        "program": this_program().name,
        "python": sys.version.replace("\n", " "),
        "python_executable": sys.executable,
        "kernel": f"{uname.sysname} {uname.release} {uname.version} {uname.machine}",
        "distribution": distribution.get("PRETTY_NAME", "not known"),
        "c_library": " ".join(platform.libc_ver()),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "processors": f"{os.cpu_count()}, {len(os.sched_getaffinity(0))} of them for this process",
        "memory": _line_of(Path("/proc/meminfo"), "MemTotal:"),
        "uptime_s": (_lines_of(Path("/proc/uptime")) or [""])[0].partition(" ")[0],
        "process_1": (_lines_of(Path("/proc/1/comm")) or ["not known"])[0],
        "user": f"{users.user_name(os.geteuid())} ({os.geteuid()}:{os.getegid()})",
        "packages": dict(_packages()),
        "environment": dict(_environment()),
    }
    rows = [(name, value) for name, value in found.items() if not isinstance(value, dict)]
    for title in ("packages", "environment"):
        rows += [("", ""), (title, "")]
        rows += [(f"  {name}", value) for name, value in dict[str, str](found[title]).items()]  # type: ignore[arg-type]
    text = "\n".join(f"{name:<26}{printable(str(value))}".rstrip() for name, value in rows)
    return {"versions.txt": f"{text}\n", "versions.json": found}


def _packages() -> Iterator[tuple[str, str]]:
    for name in sorted({*MODULES.values(), *_OPTIONAL}, key=str.lower):
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"


def _environment() -> Iterator[tuple[str, str]]:
    for name, value in sorted(os.environ.items()):
        if name in _SHOWN_VARIABLES:
            yield name, value
        elif name.startswith(_TOLD_VARIABLES) or name.lower().endswith("_proxy"):
            yield name, "is set"


def _lines_of(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text("utf-8", "replace").split("\n")
    return []


def _line_of(path: Path, start: str) -> str:
    found = next((line for line in _lines_of(path) if line.startswith(start)), "")
    return " ".join(found.removeprefix(start).split()) or "not known"


# --- what other verbs say


def _check(directory: Path) -> _Files:
    checked = check.examine(directory)
    lines = [*check.lines(checked), *(f"Problem: {problem}" for problem in checked.problems)]
    text = "\n".join(map(printable, lines))
    return {"check.txt": f"{text}\n", "check.json": check.document(checked)}


def _status(_: Path) -> _Files:
    found = status.fetch_status(configured_agent())
    return {"status.txt": f"{status.as_text(found)}\n", "status.json": found}


def _doctor(directory: Path) -> _Files:
    until = time.monotonic() + _DOCTOR_S
    parts, lines = [], []
    for part in Examination(directory, read_within(directory), _DOCTOR_PART_S).parts():
        parts.append(part)
        lines += doctor.lines(part)
        if time.monotonic() > until:
            lines += [f"What comes next was left out: this took more than {_DOCTOR_S:g} s.", ""]
            break
    text = "\n".join([*lines, doctor.summary(parts)])
    return {"doctor.txt": f"{text}\n", "doctor.json": doctor.document(parts)}


# --- the log


def _log(directory: Path) -> _Files:
    log = LogReader(load.read_log_directory(directory) / this_program().log_name)
    log.begin(_LOG_RECORDS)
    last: deque[str] = deque()
    kept = 0
    while not log.is_at_end:
        lines = log.read()
        last.extend(lines)
        kept += sum(len(line) + 1 for line in lines)
        while kept > _LOG_CHARACTERS:
            kept -= len(last.popleft()) + 1
    last.extend(log.finish())
    return {"log.txt": "".join(f"{line}\n" for line in last)}


# --- sizes


def _sizes(directory: Path) -> _Files:
    names = [path for path in load.read_directories(directory) if path != directory]
    found = [_tree(directory, is_ours=True), *(_tree(path) for path in dict.fromkeys(names))]
    lines = [line for tree in found for line in (*_tree_lines(tree), "")]
    return {"sizes.txt": "\n".join(lines), "sizes.json": found}


def _tree(top: Path, *, is_ours: bool = False) -> dict[str, Any]:
    """Return sizes of a directory, of what is in it, and of its file system (bytes).

    Unless it `is_ours`, what does not have a name of ours in it is another's, and only counted.
    """
    try:
        room = os.statvfs(top)
        names = list(islice(top.iterdir(), _ENTRIES + 1))
        ours = sorted(path for path in names if is_ours or _OURS.search(path.name))
        entries = list(islice(_entries(ours, _LEVELS), _ENTRIES))
    except OSError as error:
        return {"path": str(top), "problem": error.strerror, "entries": []}
    return {
        "path": str(top),
        "problem": f"it has more than {_ENTRIES} entries" if len(names) > _ENTRIES else "",
        "free_bytes": room.f_bavail * room.f_frsize,
        "total_bytes": room.f_blocks * room.f_frsize,
        "free_inodes": room.f_favail,
        "is_read_only": bool(room.f_flag & os.ST_RDONLY),
        "bytes": sum(entry["bytes"] for entry in entries),
        "others": len(names) - len(ours),
        "entries": entries,
    }


def _entries(paths: Iterable[Path], levels: int) -> Iterator[dict[str, Any]]:
    for path in paths:
        with suppress(OSError):  # it is gone, or not ours to look at
            found = path.lstat()
            yield {
                "path": str(path),
                "mode": stat.filemode(found.st_mode),
                "owner": users.user_name(found.st_uid),
                "bytes": found.st_size,
                "changed": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(found.st_mtime)),
            }
            if stat.S_ISDIR(found.st_mode) and levels:
                yield from _entries(sorted(islice(path.iterdir(), _ENTRIES)), levels - 1)


def _tree_lines(tree: dict[str, Any]) -> Iterator[str]:
    yield printable(tree["path"])
    if tree["problem"]:
        yield f"  {tree['problem']}"
    if "bytes" not in tree:
        return
    others = f", and {tree['others']} that are not the agent's" if tree["others"] else ""
    read_only = ", read-only" if tree["is_read_only"] else ""
    yield (
        f"  {size(tree['bytes'])} in {counted(len(tree['entries']), 'file')}{others}; its file system: "
        f"{size(tree['free_bytes'])} of {size(tree['total_bytes'])} and {tree['free_inodes']} inodes free{read_only}"
    )
    for entry in tree["entries"]:
        name = printable(entry["path"])
        yield (
            f"  {entry['mode']}  {entry['owner']:<12}{entry['bytes']:>14}  {entry['changed']}  {name}"
        )


#: In the order in which they are made.
PARTS: Final = (
    Part("versions", "pattoo_mp, Python, packages, kernel, distribution.", _versions, 8.0),
    Part("check", "the configuration as --check shows it.", _check, 25.0, as_user=True),
    Part("status", "what the agent does, as --status shows it.", _status, 12.0),
    Part("doctor", "what --doctor found on the host.", _doctor, _DOCTOR_S + 2 * _DOCTOR_PART_S),
    Part("log", "the end of the agent's log, as --logs shows it.", _log, 10.0, as_user=True),
    Part("sizes", "the agent's directories and what is in them.", _sizes, 8.0, as_user=True),
)
