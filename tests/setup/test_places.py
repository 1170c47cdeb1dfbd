"""Making and removing directories below those of a hostile user."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.setup import places
from tests.support.unprivileged import NOBODY, become_nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path("/")
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


@pytest.fixture
def theirs(home: Path) -> Path:
    """A directory of another user, in one that only we can change."""
    home.chmod(0o755)
    path = home / "theirs"
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


@pytest.fixture
def precious(home: Path) -> Path:
    """A directory of ours with a file."""
    path = home / "precious"
    path.mkdir()
    (path / "file").write_text("precious")
    return path


def test_a_directory_is_made_with_its_parents(home: Path) -> None:
    """It alone gets the mode; the parents are open to all."""
    places.make_directory(home / "a" / "b" / "c", ROOT, 0o750, None)
    modes = [stat.S_IMODE((home / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o750]


def test_links_of_ours_are_followed(home: Path) -> None:
    """For example /var/run; absolute ones start at the root that was given."""
    (home / "real").mkdir()
    (home / "relative").symlink_to("real")
    (home / "absolute").symlink_to("/real")
    (home / "up").symlink_to("real/../../../real")  # no way leads above the root
    for link in ("relative", "absolute", "up"):
        places.make_directory(home / link / link, home, 0o700, None)
    assert sorted(os.listdir(home / "real")) == ["absolute", "relative", "up"]  # noqa: PTH208


def test_a_loop_of_links_ends(home: Path) -> None:
    """As the kernel's."""
    (home / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        places.make_directory(home / "loop" / "x", ROOT, 0o700, None)


@ONLY_ROOT
def test_a_link_of_another_user_is_not_followed(theirs: Path, precious: Path) -> None:
    """Nothing is made or removed behind it."""
    (theirs / "link").symlink_to(precious)
    (precious / "made").mkdir()
    refused = "is a symbolic link, and another user may have made it"
    with pytest.raises(OSError, match=refused):
        places.make_directory(theirs / "link" / "new", ROOT, 0o700, (NOBODY, NOBODY))
    with pytest.raises(OSError, match=refused):
        places.remove_tree(theirs / "link" / "made", ROOT, {NOBODY})
    assert sorted(path.name for path in precious.iterdir()) == ["file", "made"]


def test_a_link_in_place_of_the_directory_is_not_removed(home: Path, precious: Path) -> None:
    """Nor what it leads to, even if the link is ours."""
    (home / "made").symlink_to(precious)
    with pytest.raises(OSError, match="made"):
        places.remove_tree(home / "made", ROOT, {os.geteuid()})
    assert (precious / "file").exists()


@ONLY_ROOT
def test_a_directory_of_roots_that_was_put_in_the_place_is_not_removed(theirs: Path) -> None:
    """Its user renamed it: the directory above is that user's."""
    (theirs / "backup").mkdir()
    (theirs / "backup").rename(theirs / "made")
    with pytest.raises(OSError, match="does not belong to the agent's user"):
        places.remove_tree(theirs / "made", ROOT, {NOBODY})
    assert (theirs / "made").exists()


def test_a_tree_is_removed_but_no_link_is_followed(home: Path, precious: Path) -> None:
    """Links in it are removed themselves."""
    tree = home / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("x")
    (tree / "a" / "link").symlink_to(precious)
    os.mkfifo(tree / "pipe")
    places.remove_tree(tree, ROOT, {os.geteuid()})
    assert not tree.exists()
    assert (precious / "file").exists()


def test_a_tree_of_thousands_of_levels_is_one_error(home: Path) -> None:
    """Its user can make one; it is removed by hand."""
    at = os.open(home, os.O_RDONLY)
    for name in ["tree"] + ["d"] * 3000:
        os.mkdir(name, dir_fd=at)
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    try:
        with pytest.raises(OSError, match=r"too many levels|Too many open files"):
            places.remove_tree(home / "tree", ROOT, {os.geteuid()})
    finally:
        subprocess.run(["rm", "-r", home / "tree"], check=True)


@ONLY_ROOT
def test_another_file_system_in_a_tree_is_left(home: Path) -> None:
    """A mount that an administrator made there; tried in a mount namespace."""
    program = (
        "import sys; from pathlib import Path; from pattoo_mp.setup import places\n"
        "try: places.remove_tree(Path(sys.argv[1]), Path('/'), {0})\n"
        "except OSError as error: print(error.filename, error.strerror)\n"
    )
    (home / "tree" / "disk").mkdir(parents=True)
    script = (
        'mount -t tmpfs tmpfs "$1/disk" && touch "$1/disk/file" && "$2" -c "$3" "$1"; ls "$1/disk"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", home / "tree", sys.executable, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()}")
    assert done.stdout == f"{home}/tree/disk is another file system; unmount it\nfile\n"


@pytest.fixture
def hostile() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function again and again in a process of another user, until the test ends."""
    children: list[int] = []

    def repeat(act: Callable[[], None]) -> None:
        child = os.fork()
        if not child:
            become_nobody()
            while True:
                act()
        children.append(child)

    yield repeat
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@ONLY_ROOT
def test_what_is_exchanged_between_mkdir_and_chown_is_not_given_away(
    theirs: Path, precious: Path, hostile: Callable[[Callable[[], None]], None]
) -> None:
    """Another user moves the new directory away, and puts a link or a directory of root's there."""
    made, away, decoy = theirs / "made", theirs / "away", theirs / "decoy"
    decoy.mkdir(mode=0o700)  # root's own, empty, in a directory whose names that user can change
    held = os.open(decoy, os.O_RDONLY | os.O_DIRECTORY)  # its name changes all the time

    def swap() -> None:
        with suppress(OSError):
            made.rename(away)
            decoy.rename(made)
            made.rename(decoy)
            made.symlink_to(precious)
            made.unlink()

    hostile(swap)
    for _ in range(300):
        for leftover in (made, away):
            with suppress(OSError):
                leftover.unlink() if leftover.is_symlink() else leftover.rmdir()
        with suppress(OSError):
            places.make_directory(made, ROOT, 0o750, (NOBODY, NOBODY))
    owner = os.fstat(held).st_uid
    os.close(held)
    assert owner == 0
    assert precious.stat().st_uid == 0
    assert stat.S_IMODE(precious.stat().st_mode) == 0o755
