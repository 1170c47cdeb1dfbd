"""Who we are, and whose a file is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import where_and_why
from pattoo_mp.util import files
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ME = files.user_name(os.geteuid())
#: Whom `as_nobody` asks.
US = "nobody" if os.geteuid() == 0 else ME


@pytest.fixture
def shut(home: Path) -> Iterator[Path]:
    """A directory that is ours, and closed to who has no rights, with another inside."""
    home.chmod(0o755)
    (home / "shut" / "inside").mkdir(parents=True)
    (home / "shut").chmod(0o700 if os.geteuid() == 0 else 0o000)
    yield home / "shut"
    (home / "shut").chmod(0o700)


def mode(path: Path) -> str:
    """As a line has it."""
    return f"{path.stat().st_mode & 0o7777:04o}"


def test_who_owns_it_is_told_beside_who_asks(shut: Path) -> None:
    """With the mode, which says more where the two are the same."""
    told = as_nobody(lambda: files.denied(shut))
    assert told == f", as {US}: {ME} owns it (mode {mode(shut)})"


@pytest.mark.parametrize("below", ["inside", "inside/further", "not there"])
def test_what_is_in_the_way_is_named(shut: Path, below: str) -> None:
    """It is the last directory that can be seen: whatever lies there is hidden by it, or not there."""
    told = as_nobody(lambda: files.denied(shut / below))
    assert told == f", as {US}: {ME} owns {shut} (mode {mode(shut)})"


def test_an_error_of_rights_alone_asks_whose_it_is(shut: Path) -> None:
    """No other does: it would lead away from the cause."""

    def told(path: Path) -> str:
        try:
            (path / "x").stat()
        except OSError as error:
            return where_and_why(error)
        return "seen"

    assert as_nobody(lambda: told(shut)).startswith(f"{shut}/x: Permission denied, as {US}: ")
    assert told(shut.parent) == f"{shut.parent}/x: No such file or directory"


def test_who_runs_a_process_is_told() -> None:
    """And of one that is gone at least who asks."""
    assert files.not_ours(os.getpid()) == f", as {ME}: {ME} runs it"
    assert files.not_ours(2**22 + 1) == f", as {ME}"


def test_a_user_without_a_name_is_a_number() -> None:
    """As in a container."""
    assert files.user_name(54321) == "54321"
