"""`--support`: one archive for whoever helps, without secrets.

What is in it is listed before it is written, and the operator is asked. It is made in memory: it appears
whole, or not at all.
"""

from __future__ import annotations

import gzip
import io
import json
import signal
import sys
import tarfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, FAILED, escape_unencodable
from pattoo_mp.cli.support_masks import THIS_HOST, Masks
from pattoo_mp.cli.support_parts import PARTS, Made, gather_masks, make
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.paths import config_directory
from pattoo_mp.program import this_program
from pattoo_mp.util import files
from pattoo_mp.util.text import printable, size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from pattoo_mp.cli.support_parts import Part

#: Write the archive to stdout: in a container there may be no place for it.
_STDOUT: Final = "-"
_WIDTH: Final = 16
#: How many names of hosts are listed on the screen.
_NAMES: Final = 10

_README: Final = """\
What this is

{program} made this archive by --support, at {time}. It is for whoever helps to find out
what is wrong with an agent of pattoo_mp. The agent was not changed by it.

What each file is

{files}

What is hidden

{hidden} in place of credentials, tokens, values of HTTP headers, and whatever looks like
one; "{this_host}" in place of this host's name, and "host-1", "host-2", … in place of the names and addresses
of the hosts in the configuration, the same each time. The agent's identity is not shown either. Other names
are as they are: of mounts, disks, interfaces and users, and whatever else the log says. Look through log.txt
before you give this archive to others.
"""


def run(arguments: argparse.Namespace) -> int:
    """`--support`: make the archive, list what is in it, ask, and write it. Never overwrites a file."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    escape_unencodable()
    name = f"{this_program().name}-support-{time.strftime('%Y%m%d-%H%M%S')}"
    is_piped = arguments.to == _STDOUT
    out = sys.stderr if is_piped else sys.stdout
    if is_piped and sys.stdout.isatty():
        raise PattooError("--to -: stdout is a terminal; expected a file or a pipe")
    target = None if is_piped else _target(arguments.to, f"{name}.tar.gz")
    if out.isatty():
        print("This takes some seconds; two minutes if something hangs.", file=out, flush=True)
    masks, made = _make_parts(config_directory())
    contents = _contents(made)
    archive = _archive(name, contents)
    print("\n".join(map(printable, _listing(made, contents, masks))), file=out, flush=True)
    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(archive)
        return DONE
    if not arguments.yes and not _is_wanted(target, archive):
        print("Nothing was written.", file=out)
        return FAILED
    _write(target, archive)
    print(f"Written: {printable(str(target))} ({size(len(archive))})")
    return DONE


def _target(given: str | None, name: str) -> Path:
    """Return the path of the archive. Raises `PattooError` if there is something already."""
    try:
        target = Path(given or ".").absolute()
        if target.is_dir():
            target /= name
        if target.is_symlink() or target.exists():
            raise _exists(target)
        if not target.parent.is_dir():
            raise PattooError(f"{target.parent}: no such directory; expected one for the archive")
    except OSError as error:
        where = given or "the current directory"
        raise PattooError(f"{where}: {error.strerror}; expected a path for the archive") from error
    return target


def _exists(target: Path) -> PattooError:
    return PattooError(f"{target}: exists; expected a new name for the archive")


def _make_parts(directory: Path) -> tuple[Masks, list[Made]]:
    """Make all parts; without what is to be hidden, only the one that has nothing of it."""
    try:
        masks = gather_masks(directory)
    except ConfigError as error:
        why = f"left out: what is to be hidden is not known ({error})"
        first, *others = PARTS
        masks = Masks()
        return masks, [make(first, directory, masks), *(Made(part, {}, why) for part in others)]
    return masks, [make(part, directory, masks) for part in PARTS]


def _contents(made: Sequence[Made]) -> dict[str, str]:
    """Return the files of the archive by name, the README first."""
    found = {name: text for one in made for name, text in one.texts.items()}
    rows = [
        _about(one.part, one.texts or {f"{one.part.name}.txt": ""}, one.failure) for one in made
    ]
    rows += [
        f"{'parts.json':<{_WIDTH}}for each part whether it could be made, in how many seconds."
    ]
    readme = _README.format(
        program=this_program().name,
        time=time.strftime("%Y-%m-%d %H:%M:%S%z"),
        files="\n".join(rows),
        hidden='"(not shown)" or "…" stand',
        this_host=THIS_HOST,
    )
    return {
        "README.txt": readme,
        **found,
        "parts.json": json.dumps(_document(made), indent=2) + "\n",
    }


def _about(part: Part, names: Iterable[str], failure: str) -> str:
    first, *others = names
    also = f" {', '.join(others)}: the same for programs." if others else ""
    failed = f"\n{'':<{_WIDTH}}It could not be made: {failure}" if failure else ""
    return f"{first:<{_WIDTH}}{part.about}{also}{failed}"


def _document(made: Sequence[Made]) -> list[dict[str, Any]]:
    return [
        {
            "part": one.part.name,
            "files": list(one.texts),
            "failure": one.failure,
            "took_s": round(one.took_s, 3),
        }
        for one in made
    ]


def _archive(name: str, contents: dict[str, str]) -> bytes:
    """Return the archive: a directory `name` with these files."""
    now = int(time.time())
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=now) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for file, text in contents.items():
            content = text.encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mtime, entry.mode = len(content), now, 0o600
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _listing(made: Sequence[Made], contents: dict[str, str], masks: Masks) -> list[str]:
    """What the operator sees before it is written."""
    rows = [
        f"  {name:<{_WIDTH}}{size(len(text.encode('utf-8', 'backslashreplace')))}"
        for name, text in contents.items()
    ]
    rows += [f"  {one.part.name:<{_WIDTH}}{one.failure}" for one in made if one.failure]
    names = [f"{other} is {name}" for name, other in islice(masks.names.items(), _NAMES)]
    more = len(masks.names) - len(names)
    names += [f"and {more} more"] if more > 0 else []
    hidden = (
        f"Hidden: secrets, and names of hosts ({', '.join(names)})."
        if names
        else "Hidden: secrets."
    )
    return ["The archive has:", *rows, hidden]


def _is_wanted(target: Path, archive: bytes) -> bool:
    """Ask on the terminal. Raises `PattooError` if there is none."""
    if not sys.stdin.isatty():
        raise PattooError(
            "stdin is no terminal on which to ask; expected --yes to write the archive"
        )
    print(f"Write {printable(str(target))} ({size(len(archive))})? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _write(target: Path, archive: bytes) -> None:
    """Write the archive for our eyes only. Raises `PattooError`, and then leaves nothing."""
    try:
        if not files.create_file(target, archive):
            raise _exists(target)
    except OSError as error:
        raise PattooError(
            f"{target}: {files.reason(error, target)}; expected a directory with room that can be written to"
        ) from error
