"""What starts the agent at boot, made from the files that we ship."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from pattoo_mp.errors import SetupError
from pattoo_mp.setup import templates
from pattoo_mp.setup.templates import Boot
from tests.support.agent import NAME, ROOT

SHIPPED = ROOT / "conf"
PROGRAMS = Path("/srv/agent/bin")


def test_the_unit_finds_the_program(home: Path) -> None:
    """In the directory where it was installed, before all others."""
    (file,) = templates.boot_files(Boot.SYSTEMD, home, SHIPPED, PROGRAMS)
    assert file.path == f"/etc/systemd/system/{NAME}.service"
    lines = file.content.decode().splitlines()
    assert "Environment=PATH=/srv/agent/bin:/usr/local/bin:/usr/bin:/bin" in lines


@pytest.mark.parametrize(
    ("directory", "name"),
    [("etc/supervisor/conf.d", f"{NAME}.conf"), ("etc/supervisord.d", f"{NAME}.ini")],
)
def test_the_sections_go_where_this_hosts_supervisord_looks(
    home: Path, directory: str, name: str
) -> None:
    """Debian's place and Red Hat's; the agent runs as its user, the listener as supervisord's."""
    (home / directory).mkdir(parents=True)
    assert templates.detect(home) is Boot.SUPERVISORD
    (file,) = templates.boot_files(Boot.SUPERVISORD, home, SHIPPED, PROGRAMS)
    assert file.path == f"/{directory}/{name}"
    sections = configparser.RawConfigParser()
    sections.read_string(file.content.decode())
    program = sections[f"program:{NAME}"]
    assert program["command"] == f"/srv/agent/bin/{NAME} --foreground"
    assert program["user"] == "pattoo"
    assert program["environment"] == 'PATTOO_CONFIGDIR="/etc/pattoo"'
    listener = sections["eventlistener:pattoo_heartbeat"]
    assert listener["command"] == f"/srv/agent/bin/{NAME} --event-listener"
    assert "user" not in listener


def test_a_host_without_either_gets_no_file(home: Path) -> None:
    """Somebody starts it by hand, or by something that we do not know."""
    assert templates.detect(home) is Boot.NONE
    assert templates.boot_files(Boot.NONE, home, SHIPPED, PROGRAMS) == []


def test_a_systemd_that_runs_comes_first(home: Path) -> None:
    """A host may have the directories of both."""
    (home / "etc/supervisor/conf.d").mkdir(parents=True)
    (home / "run/systemd/system").mkdir(parents=True)
    assert templates.detect(home) is Boot.SYSTEMD


def test_who_has_to_forget_a_removed_file_is_told() -> None:
    """Systemd or supervisord; of other files nobody keeps a memory."""
    assert templates.how_to_forget(["/etc/pattoo/pattoo.yaml"]) == []
    assert templates.how_to_forget([f"/etc/systemd/system/{NAME}.service"]) == [
        "systemctl daemon-reload"
    ]
    assert templates.how_to_forget([f"/etc/supervisord.d/{NAME}.ini"]) == ["supervisorctl update"]


def test_a_place_that_would_need_quotes_is_refused(home: Path) -> None:
    """A unit with it would not mean what it says."""
    with pytest.raises(SetupError, match="has characters that need quotes"):
        templates.boot_files(Boot.SYSTEMD, home, SHIPPED, Path("/srv/my agent/bin"))
