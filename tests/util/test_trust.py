"""Whether other users could change the way to a file."""

from __future__ import annotations

import os
import pwd
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util.trust import Way, examine, program_files
from tests.support.unprivileged import NOBODY, as_nobody

if TYPE_CHECKING:
    from pathlib import Path

#: Another user than root and nobody.
OTHER = 1
US = os.geteuid()

only_root = pytest.mark.skipif(US != 0, reason="only root can give a directory to another user")


@pytest.mark.parametrize(
    ("first", "files"),
    [
        (b"#!/bin/sh -e\nexit\n", ["/bin/sh"]),
        (b"#! /usr/bin/env -S X=1 /etc/passwd\n", ["/usr/bin/env", "/etc/passwd"]),
        (b"#!/usr/bin/env python3\n", ["/usr/bin/env"]),
        (b"#!sh\n", []), (b"#!\n", []), (b"#!" + b"/" * 9000, ["/"]), (b"#!/\0\xff\n", ["/"]), (b"\x7fELF", []),
    ],
)  # fmt: skip
def test_an_interpreter_decides_too(tmp_path: Path, first: bytes, files: list[str]) -> None:
    """What the `#!` line names, and what it gets as an absolute path; also of an interpreter that is a script."""
    program, script = tmp_path / "program", tmp_path / "script"
    program.write_bytes(first)
    script.write_text(f"#!{program}\n")
    found = list(map(str, program_files([str(script), "/etc/passwd"])))
    assert found[:2] == [str(script), str(program)]
    assert [one.rstrip("/") for one in found[2:]] == [one.rstrip("/") for one in files]


def test_interpreters_that_name_each_other_have_an_end(tmp_path: Path) -> None:
    """The kernel refuses them."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"#!{other}\n")
    other.write_text(f"#!{one}\n")
    assert program_files([str(one)]) == [one, other]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["/bin/x", "/etc/passwd"], ["/bin/x"]),
        (["/usr/bin/python3", "-u", "/etc/passwd"], ["/usr/bin/python3", "/etc/passwd"]),
        (["/bin/sh", "/etc", "/missing", "etc/passwd"], ["/bin/sh"]),
        (["/usr/bin/env", "A=1", "/bin/sh", "/etc/passwd"], ["/usr/bin/env", "/bin/sh", "/etc/passwd"]),
    ],
)  # fmt: skip
def test_the_files_of_a_command_decide_what_it_runs(words: list[str], files: list[str]) -> None:
    """The program, and the files that an interpreter or a launcher gets; not those that others read."""
    assert list(map(str, program_files(words))) == files


def allow(path: Path, tag: int, number: int, permissions: int = 7, mask: int = 7) -> None:
    """Add an entry to a new access list of a file. Skip the test where there are no such lists."""
    nobody_else = 0xFFFFFFFF
    entries = sorted(
        [(0x01, 7, nobody_else), (tag, permissions, number), (0x04, 5, nobody_else),
         (0x10, mask, nobody_else), (0x20, 5, nobody_else)]
    )  # fmt: skip
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", packed)
    except OSError as error:
        pytest.skip(f"no access lists here: {error.strerror}")


def give(path: Path, uid: int, gid: int | None = None) -> Path:
    """Give a file or directory to a user, with a group of that number unless `gid` is another."""
    os.chown(path, uid, uid if gid is None else gid)
    return path


def made(path: Path, mode: int = 0o755) -> Path:
    """Make a directory with this mode, whatever the umask is."""
    path.mkdir()
    path.chmod(mode)
    return path


def test_what_only_we_and_root_can_change_is_trusted(home: Path) -> None:
    """Below /tmp, which is sticky, there may be a directory of ours, also one that is not made yet."""
    assert home.parent.stat().st_mode & 0o1002 == 0o1002
    assert examine(home / "new" / "below", US).problem == ""
    assert examine(home, US).problem == ""
    assert examine(home.parent / "not-made-yet" / "below", US).problem == ""


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
def test_a_directory_that_everybody_may_write_to_is_refused(home: Path, mode: int) -> None:
    """Also a sticky one: others could place a file there before us."""
    public = made(home / "public", mode)
    why = f"can be written to by everybody (mode {mode:04o})"
    assert examine(public, US).problem == why


def test_the_whole_way_counts(home: Path) -> None:
    """A private directory below a public one can be renamed, at any depth."""
    public = made(home / "public", 0o777)
    private = made(made(made(public / "a", 0o700) / "b", 0o700) / "c", 0o700)
    why = f"is below {public}, which can be written to by everybody (mode 0777)"
    assert examine(private, US).problem == why
    assert examine(private / "new" / "file", US).problem == why


@only_root
def test_a_directory_of_another_user_is_refused(home: Path) -> None:
    """Wherever on the way it is."""
    theirs = give(made(home / "theirs"), OTHER)
    ours = made(theirs / "ours", 0o700)
    assert examine(theirs, US).problem == "belongs to daemon"
    assert examine(ours, US).problem == f"is below {theirs}, which belongs to daemon"
    assert examine(give(ours, NOBODY), NOBODY).problem.startswith(f"is below {theirs}")


@only_root
def test_the_agents_user_is_trusted_and_no_other(home: Path) -> None:
    """Root's directories are trusted by all."""
    home.chmod(0o755)
    own = give(made(home / "own"), NOBODY)
    assert examine(own, NOBODY).problem == ""
    assert examine(own, OTHER).problem == "belongs to nobody"
    assert as_nobody(lambda: examine(own, os.geteuid()).problem) == ""


@only_root
@pytest.mark.parametrize("name", ["laid", "laid/below"])
def test_what_another_user_placed_in_a_sticky_directory_is_refused(home: Path, name: str) -> None:
    """Also without a known user: everybody could place it there."""
    public = made(home / "public", 0o1777)
    laid = give(made(public / "laid"), NOBODY)
    give(made(laid / "below"), NOBODY)
    for user in (None, US):
        assert examine(public / name, user).problem.endswith("belongs to nobody")


@only_root
def test_without_a_known_user_the_owner_that_root_chose_is_the_agents(home: Path) -> None:
    """And nobody else further down."""
    home.chmod(0o755)
    own = give(made(home / "own"), NOBODY)
    assert examine(own / "new") == Way("", NOBODY, NOBODY)
    assert examine(home) == Way("")
    other = give(made(own / "other"), OTHER)
    assert examine(other).problem == "belongs to daemon"


@only_root
@pytest.mark.parametrize("gid", [NOBODY, 54321, OTHER])
def test_a_group_with_other_members_may_not_write_to_the_last_directory(
    home: Path, gid: int
) -> None:
    """Nor a group of which the host knows no member."""
    shared = give(made(home / "shared", 0o775), US, gid)
    assert examine(shared, US).problem.startswith("can be written to by the group ")
    assert examine(shared, US).problem.endswith("(mode 0775)")


def test_roots_group_and_our_own_may_write(home: Path) -> None:
    """As with a private group for each user and the umask 002."""
    own = made(home / "own", 0o775)
    members = {user.pw_uid for user in pwd.getpwall() if user.pw_gid == own.stat().st_gid}
    if US and members - {US}:
        pytest.skip("our group has other members here")
    assert examine(own, US).problem == ""


@only_root
def test_a_systems_group_may_write_on_the_way_to_a_directory_of_roots(home: Path) -> None:
    """As /var/log of Ubuntu. What is below must not be another's, and other groups may not write."""
    home.chmod(0o755)
    log = give(made(home / "log", 0o775), 0, OTHER)
    ours = give(made(log / "pattoo"), NOBODY)
    assert examine(ours, NOBODY).problem == ""
    assert examine(ours, US).problem == "belongs to nobody"
    assert examine(ours).problem == "belongs to nobody"
    give(log, 0, 54321)
    assert examine(ours, NOBODY).problem == (
        f"is below {log}, which can be written to by the group 54321 (mode 0775)"
    )


@pytest.mark.parametrize(("tag", "who"), [(0x02, "54321"), (0x08, "the group 54321")])
def test_an_access_list_counts(home: Path, tag: int, who: str) -> None:
    """For a user or a group; where the mode alone looks like that of a group."""
    listed = made(home / "listed")
    allow(listed, tag, 54321)
    assert examine(listed / "below", US).problem == (
        f"is below {listed}, which can be written to by {who} (mode 0775)"
    )


@pytest.mark.parametrize(("permissions", "mask"), [(5, 7), (7, 5)])
def test_an_access_list_without_write_permission_is_no_harm(
    home: Path, permissions: int, mask: int
) -> None:
    """The mask takes permissions away."""
    listed = made(home / "listed")
    allow(listed, 0x02, NOBODY, permissions, mask)
    assert examine(listed, US).problem == ""


def test_an_access_list_for_the_agents_user_is_no_harm(home: Path) -> None:
    """It says what the owner of a directory would be allowed to do."""
    listed = made(home / "listed")
    allow(listed, 0x02, NOBODY)
    if US == 0:
        assert examine(listed, NOBODY).problem == ""
    assert examine(listed, US).problem != ""


def test_files_are_checked_like_directories(home: Path) -> None:
    """The last part may be a file."""
    file = home / "file"
    file.touch()
    file.chmod(0o666)
    assert examine(file, US).problem == "can be written to by everybody (mode 0666)"
    file.chmod(0o644)
    assert examine(file, US).problem == ""


def test_links_are_followed_and_their_targets_checked(home: Path) -> None:
    """A link in a private directory is the operator's choice, relative or absolute."""
    public = made(home / "public", 0o777)
    made(public / "below", 0o700)
    for number, target in enumerate(
        [f"{public}/below", "public/below", f"../{home.name}/public/below"]
    ):
        link = home / f"link{number}"
        link.symlink_to(target)
        assert examine(link, US).problem == (
            f"leads to {public}, which can be written to by everybody (mode 0777)"
        )
    public.chmod(0o700)
    assert examine(home / "link2" / "new", US).problem == ""


def test_a_link_in_a_sticky_directory_is_refused(home: Path) -> None:
    """Whatever it leads to."""
    public = made(home / "public", 0o1777)
    made(home / "private", 0o700)
    (public / "link").symlink_to(home / "private")
    assert examine(public / "link", US).problem == (
        "is a symbolic link in a directory that others can write to"
    )


def test_links_in_a_circle_end(home: Path) -> None:
    """They cannot be opened, either."""
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    assert examine(home / "a", US).problem == ""


@only_root
def test_a_shared_directory_may_belong_to_any_user_but_not_to_everybody(home: Path) -> None:
    """The directory of text files."""
    shared = give(made(home / "shared", 0o775), OTHER, 54321)
    assert examine(shared, US, is_shared=True).problem == ""
    shared.chmod(0o1777)
    assert (
        examine(shared, US, is_shared=True).problem == "can be written to by everybody (mode 1777)"
    )
    home.chmod(0o1777)
    shared.chmod(0o755)
    assert examine(shared, US, is_shared=True).problem == "belongs to daemon"


def test_in_a_user_namespace_the_hosts_directories_are_trusted(home: Path) -> None:
    """They belong to a user that does not exist in it. Directories of /tmp are checked all the same."""
    program = (
        "import os; from pathlib import Path; from pattoo_mp.util.trust import examine;"
        f"print([examine(Path(p), os.geteuid()).problem for p in ('/usr/bin', '{home}')])"
    )
    home.chmod(0o755)
    if US == 0:
        give(home, OTHER)
    python = os.path.realpath("/proc/self/exe")
    done = subprocess.run(
        ["unshare", "--user", "--map-user=1000", python, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare:" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    of_home = "belongs to nobody" if US == 0 else ""
    assert done.stdout.strip() == str(["", of_home]), done.stderr


def test_what_is_mounted_read_only_cannot_be_changed(home: Path) -> None:
    """As Kubernetes mounts files, with the mode 0777."""
    disk = made(home / "disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount, and not everywhere")
    try:
        (disk / "file").touch()
        assert "everybody" in examine(disk / "file", US).problem
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert examine(disk / "file", US).problem == ""
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_mount_point_in_a_sticky_directory_is_refused(home: Path) -> None:
    """By FUSE, users mount what claims to belong to root."""
    disk = made(made(home / "public", 0o1777) / "disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount, and not everywhere")
    try:
        assert (
            examine(disk, US).problem == "is a mount point in a directory that others can write to"
        )
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
