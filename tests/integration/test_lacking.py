"""File systems that lack what a start needs: each verb says so in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import shim
from tests.support.disks import mount, small
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

#: By system call: what is missing, its errno, and the directory that needs it.
LACKS = {
    "link": ("hard links", errno.EPERM, "daemon"),
    "fchmod": ("file modes", errno.EPERM, "daemon"),
    "lockf": ("file locks", errno.ENOLCK, "daemon"),
    "bind": ("sockets", errno.EOPNOTSUPP, "daemon"),
    "flock": ("file locks (flock)", errno.ENOLCK, "cache"),
    "mmap": ("shared memory maps", errno.ENODEV, "cache"),
}


@pytest.mark.parametrize("call", LACKS)
def test_what_a_file_system_lacks_is_named_by_each_verb(
    make_agent: MakeAgent, server: PattooServer, home: Path, call: str
) -> None:
    """No traceback, and the same line from --check, --start and --doctor. Nothing is left behind."""
    what, number, where = LACKS[call]
    environment = shim.environment(home, shim.LACKS, "LACKS", home / "lacks")
    (home / "lacks").write_text(call)
    agent = make_agent(port=server.port, environment=environment)
    line = (
        f"{home / where} is on a file system without {what} ({os.strerror(number)}); expected one "
        "that has them: configure another directory\n"
    )
    checked = agent.run("--check")
    assert checked.returncode != 0
    assert line in checked.stderr
    started = agent.run("--start")
    assert started.returncode != 0
    assert started.stderr.endswith(line)
    examined = agent.run("--doctor").stdout
    assert f"is on a file system without {what}" in examined
    for verb in ("--status", "--stop", "--reload"):
        done = agent.run(verb)
        assert "Traceback" not in done.stdout + done.stderr
        assert done.returncode != 0 or verb == "--stop"
    left = [path for path in home.rglob("*") if path.name.startswith(".check-")]
    assert left == []


def test_a_lock_that_cannot_be_had_is_no_running_agent(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """The file system lost its locks after the start: each verb says so in one line."""
    agent = make_agent(port=server.port)
    agent.start()
    agent.stop()
    agent.environment.update(shim.environment(home, shim.LACKS, "LACKS", home / "lacks"))
    (home / "lacks").write_text("lockf")
    for verb in ("--status", "--stop"):
        done = agent.run(verb)
        assert "cannot be locked (No locks available); expected a file system with locks" in (
            done.stdout + done.stderr
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_without_inodes_is_named(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """There is room for bytes, and for no file."""
    agent = make_agent(port=server.port)
    (home / "cache").mkdir()
    if not mount("-t", "tmpfs", "-o", "nr_inodes=8,mode=0755", "tmpfs", home / "cache"):
        pytest.skip("no file system can be mounted here")
    try:
        with contextlib.suppress(OSError):
            for number in range(20):
                (home / "cache" / str(number)).touch()
        checked = agent.run("--check")
        assert checked.returncode != 0
        assert "no inodes are left" in checked.stderr
        assert str(home / "cache") in checked.stderr
        assert "no inodes are left" in agent.run("--doctor").stdout
        for number in range(8):
            (home / "cache" / str(number)).unlink(missing_ok=True)
        wait_for(lambda: agent.run("--check").returncode == 0, what="a check that is content")
    finally:
        subprocess.run(["umount", "--lazy", home / "cache"], check=True)


def test_a_disk_with_room_passes(make_agent: MakeAgent, server: PattooServer, home: Path) -> None:
    """On a small file system, and nothing is left there."""
    with small(home / "cache", "2m") as disk:
        assert make_agent(port=server.port).run("--check").returncode == 0
        assert list(disk.iterdir()) == []
