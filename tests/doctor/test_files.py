"""Check the agent's files and directories."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import load
from pattoo_mp.doctor import files
from pattoo_mp.doctor.files import FileCheck, FileState, inspect_all
from pattoo_mp.doctor.finding import State
from tests.support.configs import config_in
from tests.support.disks import fill, shut, small
from tests.support.spools import AMPLE, open_spool
from tests.support.unprivileged import NOBODY, as_nobody, in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent


IS_ROOT = os.geteuid() == 0


@pytest.fixture
def directory(home: Path) -> Path:
    """A directory that the user nobody owns, with files of all kinds in it."""
    for name in ("good", "closed", "target"):
        (home / name).write_text("12345")
    (home / "link").symlink_to(home / "target")
    (home / "directory").mkdir()
    (home / "shut").mkdir()
    if IS_ROOT:
        for path in (home, home / "good", home / "directory"):
            os.chown(path, NOBODY, NOBODY)
    (home / "closed").chmod(0o400)
    (home / "shut").chmod(0o500)
    return home


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("good", FileState.GOOD),
        ("new", FileState.ABSENT),
        ("new/new", FileState.ABSENT),
        ("link", FileState.LINK),
        ("directory", FileState.NO_FILE),
        ("closed", FileState.NO_ACCESS),
        ("shut/new", FileState.NO_DIRECTORY),
        ("good/new", FileState.NO_DIRECTORY),
    ],
)
def test_files_are_checked_with_the_permissions_of_the_user(
    directory: Path, name: str, state: FileState
) -> None:
    """The check makes no file."""
    before = sorted(directory.rglob("*"))
    assert as_nobody(lambda: files.inspect("file", directory / name).state.name) == state.name
    assert sorted(directory.rglob("*")) == before


@pytest.mark.skipif(not IS_ROOT, reason="only root can make another user's directory")
def test_another_users_directory_where_everybody_may_write_is_a_trap(home: Path) -> None:
    """A start refuses it, too."""
    home.chmod(0o1777)
    (home / "theirs").mkdir()
    (home / "theirs").chmod(0o777)
    os.chown(home / "theirs", 1, 1)
    assert files.inspect("file", home / "theirs" / "new").state is FileState.TRAP
    assert as_nobody(lambda: files.inspect("file", home / "theirs" / "new").state.name) == "TRAP"


def test_a_spool_that_another_agent_locks_is_taken(home: Path) -> None:
    """The problem names that agent's process. If our agent runs, the lock is its own."""
    config = config_in(home)
    spool = open_spool(paths.spool_file(config), AMPLE)

    def problems(pid: int | None = None) -> str:
        return "\n".join(file.problem for file in inspect_all(config, pid) if file.problem)

    assert in_child(problems) == f"is used by another agent (process {os.getpid()})"
    assert in_child(lambda: problems(os.getpid())) == ""
    spool.close()
    assert in_child(problems) == ""


def test_checking_the_lock_does_not_take_it(home: Path) -> None:
    """The lock is free again at once. A lock file without a process number is reported as unknown."""
    config = config_in(home)
    lock = paths.spool_file(config).with_name(f"{paths.spool_file(config).name}.lock")
    lock.write_text("no number")
    assert all(not file.problem for file in inspect_all(config, None))
    spool = open_spool(paths.spool_file(config), AMPLE)
    lock.write_text("")
    assert in_child(lambda: inspect_all(config, None)[-1].problem).endswith("(process unknown)")
    spool.close()


@pytest.mark.parametrize("part", ["", "-wal", "-shm", ".lock"])
@pytest.mark.skipif(not IS_ROOT, reason="only root can make root's files")
def test_roots_files_beside_the_spool_make_it_inaccessible(home: Path, part: str) -> None:
    """Each file that a start opens is checked, and named with its owner."""
    home.chmod(0o755)
    os.chown(home, NOBODY, NOBODY)
    spool = paths.spool_file(config_in(home))
    path = spool.with_name(spool.name + part)
    path.touch(mode=0o600)
    found = as_nobody(
        lambda: "\n".join(
            f"{file.path} {file.problem}"
            for file in inspect_all(config_in(home), None)
            if file.problem
        )
    )
    assert found == f"{path} cannot be read and written, as nobody: root owns it (mode 0600)"


def test_a_disk_without_room_for_a_spool_is_full(home: Path) -> None:
    """The same for an identity that is not made yet."""
    config = config_in(home, cache_directory=home / "cache", daemon_directory=home / "cache")

    def full() -> list[str]:
        return [file.what for file in inspect_all(config, None) if file.state is FileState.FULL]

    with small(home / "cache") as disk:
        assert full() == []
        fill(disk, but_for=files.SPOOL_BYTES - 4096)
        assert full() == ["spool"]
        fill(disk)
        assert full() == ["identity", "spool"]
        identity = paths.identity_file(config)
        (disk / "filler").unlink()
        identity.parent.mkdir()
        identity.write_text("a" * 64)
        fill(disk)
        assert full() == ["spool"]


def test_an_identity_needs_only_read_permission(home: Path) -> None:
    """A start only reads it."""
    home.chmod(0o755)
    identity = home / "identity"
    identity.write_text("a" * 64)
    identity.chmod(0o444)
    assert as_nobody(lambda: files.inspect("identity", identity, os.R_OK).state.name) == "GOOD"


def test_a_directory_in_place_of_the_status_socket_is_a_problem(home: Path) -> None:
    """A socket or file of an earlier run is none."""
    config = config_in(home)
    path = paths.status_socket(config.system_daemon_directory)

    def state() -> FileState:
        (found,) = [at for at in inspect_all(config, None) if at.what == "status socket"]
        return found.state

    assert state() is FileState.ABSENT
    path.mkdir(parents=True)
    assert state() is FileState.NO_FILE


# The findings of --doctor.


@pytest.mark.parametrize("state", [state for state in FileState if state not in files.USABLE])
def test_each_problem_of_a_file_has_advice(home: Path, state: FileState) -> None:
    """It names the file or its directory."""
    found = files.file_finding(FileCheck("log", home / "log", state), "pattoo")
    assert found.state is State.TROUBLE
    assert str(home) in found.advice
    assert state.value in found.found


def test_a_configuration_that_the_agents_user_cannot_read_is_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Root can read it, and would not notice."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    agent.home.chmod(0o755)
    further = agent.configuration / "pattoo.yaml.d"
    further.mkdir()
    agent.write("pattoo.yaml.d/1.yaml", "")
    for path in (agent.configuration / "pattoo.yaml", further / "1.yaml"):
        path.chmod(0o000)

    def report() -> str:
        found = list(files.file_findings(agent.configuration, settings, "nobody", None))
        return "\n".join(f"{f.state.value} {f.subject}: {f.found}" for f in found)

    assert f"bad pattoo.yaml: {agent.configuration}/pattoo.yaml cannot be read" in as_nobody(report)
    assert f"bad 1.yaml: {further}/1.yaml cannot be read" in as_nobody(report)
    if IS_ROOT:
        assert "bad log_directory" in as_nobody(report)
        assert "bad" not in report()


def test_the_advice_on_a_read_only_file_system_is_to_remount_it(
    make_agent: Callable[..., Agent],
) -> None:
    """Permissions would not help, so the advice does not mention them."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    with small(agent.home / "cache") as disk:
        shut(disk)
        (found,) = (
            finding
            for finding in files.file_findings(agent.configuration, settings, "pattoo", None)
            if finding.subject == "cache_directory"
        )
    assert found.found == f"{disk} cannot be written to (Read-only file system)"
    assert found.advice.startswith(f"mount -o remount,rw {disk} (dmesg may say")


def test_unusable_transport_settings_are_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Such as files that cannot be used, and settings that contradict each other."""
    agent = make_agent()
    path = agent.home / "credentials"
    path.touch(mode=0o644)
    settings = replace(
        load.check(agent.configuration), servers=("http://192.0.2.1",), credentials_file=path
    )
    found = [
        finding
        for finding in files.file_findings(agent.configuration, settings, "pattoo", None)
        if finding.subject == "credentials_file"
    ]
    assert [finding.state for finding in found] == [State.TROUBLE] * 2
    assert "(mode 0644), as pattoo" in found[0].found
    assert found[0].advice == "expected a file of the agent's user, with mode 0600 or 0400"
    assert "would be sent unencrypted to http://192.0.2.1" in found[1].found
