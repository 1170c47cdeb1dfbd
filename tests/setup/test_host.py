"""What exists on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import SetupError
from pattoo_mp.setup.host import agent_directories, closed_parent, sample_directories
from pattoo_mp.setup.main import require_usable
from pattoo_mp.setup.templates import command_directory, conf_directory
from tests.support.agent import NAME, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_closed_parent_directory_is_found(home: Path) -> None:
    """The topmost directory that other users cannot enter; None if all are open."""
    commands = home / "ann" / ".local" / "bin"
    commands.mkdir(parents=True)
    home.chmod(0o755)
    assert closed_parent(commands) is None
    (home / "ann").chmod(0o700)
    assert closed_parent(commands) == home / "ann"


def test_a_python_below_a_closed_directory_is_found(home: Path) -> None:
    """The environment's own Python is only a link to it, and the agent's user could start nothing."""
    home.chmod(0o755)
    command, python = home / "env" / "bin" / NAME, home / "root" / "versions" / "python3"
    for file in (command, python):
        file.parent.mkdir(parents=True)
        file.touch()
    link = command.with_name("python3")
    link.symlink_to(python)
    require_usable(command, link)
    (home / "root").chmod(0o700)
    with pytest.raises(SetupError) as refused:
        require_usable(command, link)
    assert str(refused.value).startswith(
        f"{home}/root: the user pattoo cannot enter it, so it cannot run {python}, the Python of "
    )
    (home / "env").chmod(0o700)
    with pytest.raises(SetupError, match=f"cannot run {command};"):
        require_usable(command, link)


def test_the_directories_come_from_the_configuration(home: Path) -> None:
    """From the sample if there is no configuration yet."""
    assert agent_directories(home) == sample_directories()
    (home / "etc/pattoo").mkdir(parents=True)
    (home / "etc/pattoo/pattoo.yaml").write_text(
        "pattoo: {log_directory: /l, cache_directory: /c, daemon_directory: /d,"
        " system_daemon_directory: /s}\n"
    )
    assert agent_directories(home) == {
        "log_directory": "/l",
        "cache_directory": "/c",
        "daemon_directory": "/d",
        "system_daemon_directory": "/s",
    }


def test_a_checkout_finds_its_own_files() -> None:
    """The shipped files, and the command, which pip installs beside its Python."""
    assert conf_directory() == ROOT / "conf"
    assert (command_directory() / NAME).exists()
