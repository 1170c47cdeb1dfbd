"""Carries out the steps of a plan, one after another, and keeps the record of them."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.errors import SetupError
from pattoo_mp.setup import places
from pattoo_mp.setup.host import RECORD_PATH, USER, below, has_user
from pattoo_mp.setup.plan import Act
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pattoo_mp.setup.host import Directory, Record
    from pattoo_mp.setup.plan import Step

_FILE_MODE = 0o644


def carry_out(steps: Iterable[Step], root: Path, record: Record) -> Iterator[Step]:
    """Carry out each step, then yield it.

    The steps that were done are recorded even if a later one fails. Raises `SetupError`.
    """
    try:
        for step in steps:
            try:
                _carry_out(step, root)
            except OSError as error:
                raise SetupError(
                    f"{error.filename or step.what}: {error.strerror}; expected to {step.act.value}"
                ) from error
            update(record, step)
            yield step
    finally:
        _save(record, root)


def update(record: Record, step: Step) -> None:
    """Add to the record what a step did."""
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


def _carry_out(step: Step, root: Path) -> None:
    path = below(root, step.what)
    match step.act:
        case Act.ADD_USER:
            # No home directory: the agent's files are where its settings say.
            group = ("--gid", step.what) if _has_group(step.what) else ("--user-group",)
            _run("useradd", "--system", *group, "--no-create-home", "--home-dir",
                 "/nonexistent", "--shell", "/usr/sbin/nologin", step.what)  # fmt: skip
        case Act.MAKE_DIRECTORY if step.directory is not None:
            _make(path, step.directory, root)
        case Act.WRITE if step.file is not None:
            _write(path, step.file.content, root)
        case Act.REMOVE_FILE:
            with places.named(path, root) as file:
                file.unlink()
        case Act.REMOVE_TREE:
            places.remove_tree(path, root, {_owner_of_agent()[0]} if has_user(USER) else set())
        case Act.REMOVE_USER:
            _run("userdel", step.what)


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _make(path: Path, wanted: Directory, root: Path) -> None:
    # Below another root, the owner is left to the packager if this host has no such user.
    can_change_owner = os.geteuid() == 0 and (root == Path("/") or has_user(USER))
    owner = _owner_of_agent() if wanted.is_agent_owned and can_change_owner else None
    places.make_directory(path, root, wanted.mode, owner)


def _owner_of_agent() -> tuple[int, int]:
    user = pwd.getpwnam(USER)
    return user.pw_uid, user.pw_gid


def _write(path: Path, content: bytes, root: Path) -> None:
    """Write a file atomically, without following a link that another user may have put there."""
    with places.named(path, root, make=True) as file:
        files.replace_file(file, content, _FILE_MODE)


def _save(record: Record, root: Path) -> None:
    path = below(root, RECORD_PATH)
    if record.is_empty:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            path.parent.rmdir()
        return
    try:
        _write(path, record.text().encode(), root)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected to record what was done") from error


def _run(*command: str) -> None:
    """Run a command of the system. Raises `SetupError` with its last line on stderr."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    except FileNotFoundError as error:
        raise SetupError(
            f"{command[0]}: no such command; add or remove the user {command[-1]} by hand"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetupError(f"{command[0]} {command[-1]}: {reason}")
