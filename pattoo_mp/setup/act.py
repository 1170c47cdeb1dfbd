"""Does the steps of a plan, one after the other, and keeps the record of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.errors import SetupError
from pattoo_mp.setup import host as records
from pattoo_mp.setup.host import USER, below, has_user
from pattoo_mp.setup.plan import Act
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pattoo_mp.setup.host import Directory, Record
    from pattoo_mp.setup.plan import Step

_FILE_MODE = 0o644


def do(steps: Iterable[Step], root: Path, record: Record) -> Iterator[Step]:
    """Do each step, then yield it. What was done is recorded, also if a later step fails.

    Raises `SetupError`.
    """
    try:
        for step in steps:
            try:
                _do(step, root)
            except OSError as error:
                raise SetupError(
                    f"{error.filename or step.what}: {error.strerror}; expected to {step.act.value}"
                ) from error
            note(step, record)
            yield step
    finally:
        _keep(record, below(root, records.PATH))


def note(step: Step, record: Record) -> None:
    """Put into the record what a step did."""
    match step.act:
        case Act.ADD_USER:
            record.user = step.what
        case Act.MAKE_DIRECTORY:
            record.directories.append(step.what)
        case Act.REMOVE_FILE | Act.REMOVE_TREE | Act.FORGET:
            record.files.pop(step.what, None)
            record.directories = [path for path in record.directories if path != step.what]
        case Act.REMOVE_USER:
            record.user = ""
    if step.file is not None:
        record.files[step.what] = step.file.digest
        record.offered.pop(step.what, None)
        if step.offered_for:
            record.offered[step.offered_for] = step.file.digest


def _do(step: Step, root: Path) -> None:
    path = below(root, step.what)
    match step.act:
        case Act.ADD_USER:
            # A home that is not made: the agent's files are where its settings say.
            _run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
                 "/nonexistent", "--shell", "/usr/sbin/nologin", step.what)  # fmt: skip
        case Act.MAKE_DIRECTORY if step.directory is not None:
            _make(path, step.directory, root)
        case Act.WRITE if step.file is not None:
            _write(path, step.file.content)
        case Act.REMOVE_FILE:
            path.unlink()
        case Act.REMOVE_TREE:
            shutil.rmtree(path)
        case Act.REMOVE_USER:
            _run("userdel", step.what)


def _make(path: Path, wanted: Directory, root: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(wanted.mode)
    # Below a root of somebody's own, owners are a matter of whoever puts it into its place.
    may_give_away = os.geteuid() == 0 and (root == Path("/") or has_user(USER))
    if wanted.is_agents and may_give_away:
        shutil.chown(path, USER, USER)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all, and through no link that somebody laid there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace_file(path, content, _FILE_MODE)


def _keep(record: Record, path: Path) -> None:
    if record.is_empty:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            path.parent.rmdir()
        return
    try:
        _write(path, record.text().encode())
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected to note what was done") from error


def _run(*command: str) -> None:
    """Run one of the system's own commands. Raises `SetupError` with what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    except FileNotFoundError as error:
        raise SetupError(
            f"{command[0]}: is not on this host; make or remove the user {command[-1]} by hand"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetupError(f"{command[0]} {command[-1]}: {reason}")
