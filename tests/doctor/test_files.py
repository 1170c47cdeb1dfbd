"""The files that the agent keeps, as a start would find them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import load
from pattoo_mp.doctor import files
from pattoo_mp.doctor.files import Place, Use, inspect_all
from pattoo_mp.doctor.finding import State
from pattoo_mp.spool.store import Spool
from tests.support.configs import config_in
from tests.support.disks import fill, shut, small
from tests.support.unprivileged import NOBODY, as_nobody, in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent


IS_ROOT = os.geteuid() == 0


@pytest.fixture
def place(home: Path) -> Path:
    """A directory of nobody's, with files of all kinds in it."""
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
    ("name", "use"),
    [
        ("good", Use.GOOD),
        ("new", Use.ABSENT),
        ("new/new", Use.ABSENT),
        ("link", Use.LINK),
        ("directory", Use.NO_FILE),
        ("closed", Use.CLOSED),
        ("shut/new", Use.NO_WAY),
        ("good/new", Use.NO_WAY),
    ],
)
def test_what_a_user_without_rights_may_do_there_is_told(place: Path, name: str, use: Use) -> None:
    """And nothing is made to find it out."""
    before = sorted(place.rglob("*"))
    assert as_nobody(lambda: files.inspect("file", place / name).use.name) == use.name
    assert sorted(place.rglob("*")) == before


@pytest.mark.skipif(not IS_ROOT, reason="only root can lay a directory of another's")
def test_a_directory_that_another_laid_where_all_may_write_is_a_trap(home: Path) -> None:
    """As at a start, which refuses it."""
    home.chmod(0o1777)
    (home / "theirs").mkdir()
    (home / "theirs").chmod(0o777)
    os.chown(home / "theirs", 1, 1)
    assert files.inspect("file", home / "theirs" / "new").use is Use.TRAP
    assert as_nobody(lambda: files.inspect("file", home / "theirs" / "new").use.name) == "TRAP"


def test_a_spool_that_another_agent_holds_is_taken(home: Path) -> None:
    """It is told with that agent's process; of an agent that runs here it is its own."""
    config = config_in(home)
    spool = Spool(paths.spool_file(config))

    def told(pid: int | None = None) -> str:
        return "\n".join(place.problem for place in inspect_all(config, pid) if place.problem)

    assert in_child(told) == f"is used by another agent (process {os.getpid()})"
    assert in_child(lambda: told(os.getpid())) == ""
    spool.close()
    assert in_child(told) == ""


def test_to_ask_who_holds_a_spool_takes_it_from_nobody(home: Path) -> None:
    """The lock is free again at once, and a file of no number is told too."""
    config = config_in(home)
    lock = paths.spool_file(config).with_name(f"{paths.spool_file(config).name}.lock")
    lock.write_text("no number")
    assert all(not place.problem for place in inspect_all(config, None))
    spool = Spool(paths.spool_file(config))
    lock.write_text("")
    assert in_child(lambda: inspect_all(config, None)[-1].problem).endswith("(process unknown)")
    spool.close()


@pytest.mark.parametrize("part", ["", "-wal", "-shm", ".lock"])
@pytest.mark.skipif(not IS_ROOT, reason="only root can leave a file of root's")
def test_what_root_left_beside_the_spool_closes_it(home: Path, part: str) -> None:
    """Each file that a start opens counts, and is named with its owner."""
    home.chmod(0o755)
    os.chown(home, NOBODY, NOBODY)
    spool = paths.spool_file(config_in(home))
    path = spool.with_name(spool.name + part)
    path.touch(mode=0o600)
    found = as_nobody(
        lambda: "\n".join(
            f"{place.path} {place.problem}"
            for place in inspect_all(config_in(home), None)
            if place.problem
        )
    )
    assert found == f"{path} cannot be read and written, as nobody: root owns it (mode 0600)"


def test_a_disk_without_room_for_a_spool_is_full(home: Path) -> None:
    """Also for an identity, before there is one."""
    config = config_in(home, cache_directory=home / "cache", daemon_directory=home / "cache")

    def full() -> list[str]:
        return [place.what for place in inspect_all(config, None) if place.use is Use.FULL]

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


def test_an_identity_is_only_read(home: Path) -> None:
    """One that may not be written to is good enough for a start."""
    home.chmod(0o755)
    identity = home / "identity"
    identity.write_text("a" * 64)
    identity.chmod(0o444)
    assert as_nobody(lambda: files.inspect("identity", identity, os.R_OK).use.name) == "GOOD"


def test_what_lies_in_the_place_of_the_status_socket_may_be_in_the_way(home: Path) -> None:
    """A directory is; a socket or a file of an earlier run is not."""
    config = config_in(home)
    path = paths.status_socket(config.system_daemon_directory)

    def use() -> Use:
        (found,) = [at for at in inspect_all(config, None) if at.what == "status socket"]
        return found.use

    assert use() is Use.ABSENT
    path.mkdir(parents=True)
    assert use() is Use.NO_FILE


# The places of the agent's files, as its user sees them.


@pytest.mark.parametrize("use", [use for use in Use if use not in {Use.GOOD, Use.ABSENT}])
def test_each_trouble_says_what_to_do(home: Path, use: Use) -> None:
    """With the file or its directory, and the user."""
    found = files.in_words(Place("log", home / "log", use), "pattoo")
    assert found.state is State.TROUBLE
    assert str(home) in found.advice
    assert use.value in found.found


def test_a_configuration_that_the_agents_user_cannot_read_is_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Root can, and so would not see it."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    agent.home.chmod(0o755)
    (agent.configuration / "pattoo.yaml").chmod(0o000)

    def told() -> str:
        found = list(files.place_findings(agent.configuration, settings, "nobody", None))
        return "\n".join(f"{f.state.value} {f.subject}: {f.found}" for f in found)

    assert f"bad pattoo.yaml: {agent.configuration}/pattoo.yaml cannot be read" in as_nobody(told)
    if IS_ROOT:
        assert "bad log_directory" in as_nobody(told)
        assert "bad" not in told()


def test_a_file_system_that_is_read_only_is_to_be_mounted_anew(
    make_agent: Callable[..., Agent],
) -> None:
    """The right to it is not what is missing, so nobody is sent to give it."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    with small(agent.home / "cache") as disk:
        shut(disk)
        (found,) = (
            finding
            for finding in files.place_findings(agent.configuration, settings, "pattoo", None)
            if finding.subject == "cache_directory"
        )
    assert found.found == f"{disk} cannot be written to (Read-only file system)"
    assert found.advice.startswith(f"mount -o remount,rw {disk} (dmesg may say")


def test_what_is_wrong_with_the_way_to_the_servers_is_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Files that cannot be used, and settings that may not be together."""
    agent = make_agent()
    path = agent.home / "credentials"
    path.touch(mode=0o644)
    settings = replace(
        load.check(agent.configuration), servers=("http://192.0.2.1",), credentials_file=path
    )
    found = [
        finding
        for finding in files.place_findings(agent.configuration, settings, "pattoo", None)
        if finding.subject == "credentials_file"
    ]
    assert [finding.state for finding in found] == [State.TROUBLE] * 2
    assert "(mode 0644), as pattoo" in found[0].found
    assert found[0].advice == "let it be a file of the agent's user, with mode 0600 or 0400"
    assert "would be sent unencrypted to http://192.0.2.1" in found[1].found
