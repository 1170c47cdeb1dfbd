"""The steps of install and uninstall: from the inventory, what exists, and the record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import SetupError
from pattoo_mp.setup.host import Directory, File, Found, Inventory, Kind, is_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.setup.host import Record

_PURGE: Final = "--purge removes it"
_NEW: Final = ".new"


class Act(Enum):
    """What a step does."""

    NOTHING = "nothing"
    ADD_USER = "add a user"
    MAKE_DIRECTORY = "make a directory"
    WRITE = "write a file"
    REMOVE_FILE = "remove a file"
    REMOVE_TREE = "remove a directory and all in it"
    REMOVE_USER = "remove a user"
    FORGET = "forget what no longer exists"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, which may do nothing; `word` and `note` describe it to the administrator.

    `what` is a path, or the name of a user. `offered_for` is the path of the changed file beside
    which a file is written.
    """

    act: Act
    word: str
    what: str
    note: str = ""
    file: File | None = None
    directory: Directory | None = None
    offered_for: str = ""

    @property
    def line(self) -> str:
        """The step as one line of output."""
        return f"{self.word:<7} {self.what}" + (f" ({self.note})" if self.note else "")


def beside(path: str) -> str:
    """Where a shipped file goes if an administrator's file is in its place."""
    return f"{path}{_NEW}"


def paths(inventory: Inventory, record: Record) -> list[str]:
    """All paths that a plan needs to know about."""
    wanted = [
        *(directory.path for directory in inventory.directories),
        *(name for file in inventory.files for name in (file.path, beside(file.path))),
        *record.files,
        *record.directories,
    ]
    return list(dict.fromkeys(wanted))


def install(
    inventory: Inventory, there: Mapping[str, Found], record: Record, user: str, *, has_user: bool
) -> list[Step]:
    """The steps that complete an installation; no file of an administrator is changed.

    `user` is empty if no user is to be added. Raises `SetupError` if a file is in the way of a
    directory, or a directory in the way of a file.
    """
    steps = []
    if user:
        act, word, note = (
            (Act.NOTHING, "keep", "exists") if has_user else (Act.ADD_USER, "add", "a user")
        )
        steps.append(Step(act, word, user, note))
    steps += [
        _directory(directory, there[directory.path], user) for directory in inventory.directories
    ]
    steps += [
        _file(file, there[file.path], there[beside(file.path)], record) for file in inventory.files
    ]
    return steps


def _directory(wanted: Directory, there: Found, user: str) -> Step:
    if there.kind is Kind.FILE:
        raise SetupError(f"{wanted.path}: is {there.kind.value}; expected a directory, or nothing")
    if there.kind is Kind.DIRECTORY:
        has_other_owner = wanted.is_agent_owned and user not in {"", there.owner}
        note = f"exists, owned by {there.owner}; the agent must be able to write to it"
        return Step(Act.NOTHING, "keep", wanted.path, note if has_other_owner else "exists")
    return Step(Act.MAKE_DIRECTORY, "make", wanted.path, directory=wanted)


def _file(wanted: File, there: Found, there_beside: Found, record: Record) -> Step:
    """Treat a file as dpkg does a configuration file: a changed file belongs to the administrator."""
    path, shipped = wanted.path, record.last_shipped(wanted.path)
    if there.kind is Kind.DIRECTORY:
        raise SetupError(f"{path}: is {there.kind.value}; expected a file, or nothing")
    if there.kind is Kind.NOTHING:
        return Step(Act.WRITE, "write", path, file=wanted)
    if there.digest == wanted.digest:
        return Step(Act.NOTHING, "keep", path, "is as shipped", file=wanted)
    if there.digest == shipped:
        return Step(Act.WRITE, "update", path, "was not changed since it was shipped", file=wanted)
    new = File(beside(path), wanted.content)
    if shipped == wanted.digest:
        return Step(Act.NOTHING, "keep", path, "is yours")
    if there_beside.kind is not Kind.NOTHING and there_beside.digest != record.files.get(new.path):
        return Step(Act.NOTHING, "keep", path, f"is yours, and so is {new.path}")
    note = f"{path} is yours and is kept; compare them"
    return Step(Act.WRITE, "write", new.path, note, file=new, offered_for=path)


def uninstall(there: Mapping[str, Found], record: Record, *, purge: bool) -> list[Step]:
    """The steps that remove what install put on the host.

    Data, configuration and files of an administrator are only removed to `purge`.
    """
    steps = [
        _without_file(path, there[path], digest, purge=purge)
        for path, digest in record.files.items()
    ]
    inner_first = sorted(record.directories, reverse=True)
    steps += [_without_directory(path, there[path], purge=purge) for path in inner_first]
    if record.user:
        steps.append(
            Step(Act.REMOVE_USER, "remove", record.user, "the user")
            if purge
            else Step(Act.NOTHING, "leave", record.user, f"the user; {_PURGE}")
        )
    return steps


def _without_file(path: str, there: Found, digest: str, *, purge: bool) -> Step:
    if there.kind is not Kind.FILE:
        return Step(Act.FORGET, "forget", path, "no longer exists")
    if purge:
        return Step(Act.REMOVE_FILE, "remove", path)
    if there.digest != digest:
        return Step(Act.NOTHING, "leave", path, f"is yours; {_PURGE}")
    if is_configuration(path) and not path.endswith(_NEW):
        return Step(Act.NOTHING, "leave", path, f"configuration; {_PURGE}")
    return Step(Act.REMOVE_FILE, "remove", path)


def _without_directory(path: str, there: Found, *, purge: bool) -> Step:
    if there.kind is not Kind.DIRECTORY:
        return Step(Act.FORGET, "forget", path, "no longer exists")
    if purge:
        return Step(Act.REMOVE_TREE, "remove", path, "with all its content")
    return Step(Act.NOTHING, "leave", path, _PURGE)
