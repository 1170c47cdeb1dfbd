"""What is there: a look at a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.setup.host import agents_directories, sample_directories, unreachable
from pattoo_mp.setup.templates import programs, shipped
from tests.support.agent import NAME, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_place_in_somebodys_home_is_out_of_reach(home: Path) -> None:
    """The first directory on the way that another user cannot pass is named; none if all are open."""
    programs_in = home / "ann" / ".local" / "bin"
    programs_in.mkdir(parents=True)
    home.chmod(0o755)
    assert unreachable(programs_in) is None
    (home / "ann").chmod(0o700)
    assert unreachable(programs_in) == home / "ann"


def test_the_directories_are_those_of_the_configuration(home: Path) -> None:
    """The sample's before there is one; then those that it names, and no others."""
    assert agents_directories(home) == sample_directories()
    (home / "etc/pattoo").mkdir(parents=True)
    (home / "etc/pattoo/pattoo.yaml").write_text(
        "pattoo: {log_directory: /l, cache_directory: /c, daemon_directory: /d,"
        " system_daemon_directory: /s}\n"
    )
    assert agents_directories(home) == {
        "log_directory": "/l",
        "cache_directory": "/c",
        "daemon_directory": "/d",
        "system_daemon_directory": "/s",
    }


def test_a_checkout_finds_its_own_files() -> None:
    """What ships, and the command, which pip has put beside its Python."""
    assert shipped() == ROOT / "conf"
    assert (programs() / NAME).exists()
