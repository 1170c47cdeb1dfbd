"""The files that start the agent at boot, made from the shipped ones."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from pattoo_mp.errors import SetupError
from pattoo_mp.program import PROGRAMS, acting_as
from pattoo_mp.setup import templates
from pattoo_mp.setup.templates import Boot
from tests.support.agent import NAME, ROOT

SHIPPED = ROOT / "conf"
COMMANDS = Path("/srv/agent/bin")


def test_the_unit_finds_the_command(home: Path) -> None:
    """Its directory comes first in PATH."""
    (file,) = templates.boot_files(Boot.SYSTEMD, home, SHIPPED, COMMANDS)
    assert file.path == f"/etc/systemd/system/{NAME}.service"
    lines = file.content.decode().splitlines()
    assert "Environment=PATH=/srv/agent/bin:/usr/local/bin:/usr/bin:/bin" in lines


@pytest.mark.parametrize(
    ("directory", "name"),
    [("etc/supervisor/conf.d", f"{NAME}.conf"), ("etc/supervisord.d", f"{NAME}.ini")],
)
def test_the_sections_go_to_the_directory_of_this_hosts_supervisord(
    home: Path, directory: str, name: str
) -> None:
    """Debian's or Red Hat's. The agent runs as its user, the listener as supervisord's."""
    (home / directory).mkdir(parents=True)
    assert templates.detect(home) is Boot.SUPERVISORD
    (file,) = templates.boot_files(Boot.SUPERVISORD, home, SHIPPED, COMMANDS)
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


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("etc/supervisor/conf.d", "pattoo_mp_receiver.conf"),
        ("etc/supervisord.d", "pattoo_mp_receiver.ini"),
    ],
)
def test_the_receivers_section_is_beside_the_agents(home: Path, directory: str, name: str) -> None:
    """With the absolute path of its command. supervisord notices when it is removed."""
    (home / directory).mkdir(parents=True)
    (file,) = templates.receiver_files(Boot.SUPERVISORD, home, SHIPPED, COMMANDS)
    assert file.path == f"/{directory}/{name}"
    sections = configparser.RawConfigParser()
    sections.read_string(file.content.decode())
    program = sections["program:pattoo_mp_receiver"]
    assert program["command"].startswith("/srv/agent/bin/pattoo_mp_receiver --database /var/lib/")
    assert program["user"] == "pattoo"
    assert templates.reload_commands([file.path]) == ["supervisorctl update"]


def test_a_host_without_either_gets_no_file(home: Path) -> None:
    """The administrator starts the agent by other means."""
    assert templates.detect(home) is Boot.NONE
    assert templates.boot_files(Boot.NONE, home, SHIPPED, COMMANDS) == []


def test_a_running_systemd_is_preferred(home: Path) -> None:
    """A host may have the directories of supervisord too."""
    (home / "etc/supervisor/conf.d").mkdir(parents=True)
    (home / "run/systemd/system").mkdir(parents=True)
    assert templates.detect(home) is Boot.SYSTEMD


def test_systemd_or_supervisord_must_notice_a_removed_file() -> None:
    """Other removed files need no command."""
    assert templates.reload_commands(["/etc/pattoo/pattoo.yaml"]) == []
    assert templates.reload_commands([f"/etc/systemd/system/{NAME}.service"]) == [
        "systemctl daemon-reload"
    ]
    assert templates.reload_commands([f"/etc/supervisord.d/{NAME}.ini"]) == ["supervisorctl update"]


def test_a_path_that_needs_quotes_is_refused(home: Path) -> None:
    """The unit would not mean what it says."""
    with pytest.raises(SetupError, match="has characters that need quotes"):
        templates.boot_files(Boot.SYSTEMD, home, SHIPPED, Path("/srv/my agent/bin"))


def test_a_supervisord_of_the_agents_user_has_its_files_in_the_agents_directories() -> None:
    """The user cannot write to /etc/pattoo. Both supervisord and supervisorctl find the socket."""
    file = templates.supervisord_file({"log_directory": "/srv/log", "daemon_directory": "/srv/lib"})
    assert file.path == "/etc/pattoo/supervisord.local.conf"
    sections = configparser.RawConfigParser()
    sections.read_string(file.content.decode())
    assert sections["supervisord"]["user"] == "pattoo"
    assert sections["supervisord"]["logfile"] == "/srv/log/supervisord.log"
    assert sections["supervisord"]["pidfile"] == "/srv/lib/supervisord.pid"
    assert sections["unix_http_server"]["file"] == "/srv/lib/supervisor.sock"
    assert sections["supervisorctl"]["serverurl"] == "unix:///srv/lib/supervisor.sock"
    shipped = configparser.RawConfigParser()
    shipped.read(SHIPPED / "supervisord.conf")
    # Whatever the shipped file keeps in the configuration's directory has another place.
    for name, section in shipped.items():
        for key, value in section.items():
            if "PATTOO_CONFIGDIR" in value and name != "include":
                assert key in sections[name]


def test_each_program_has_its_own_sections(home: Path) -> None:
    """Its command and its listener are its own, with the same settings."""
    (home / "etc/supervisor/conf.d").mkdir(parents=True)
    found = {}
    for program in PROGRAMS:
        with acting_as(program):
            (file,) = templates.boot_files(Boot.SUPERVISORD, home, SHIPPED, COMMANDS)
        assert file.path == f"/etc/supervisor/conf.d/{program.name}.conf"
        sections = configparser.RawConfigParser()
        sections.read_string(file.content.decode())
        command = sections[f"program:{program.name}"].pop("command")
        assert command == f"/srv/agent/bin/{program.name} --foreground"
        (listener,) = [name for name in sections if name.startswith("eventlistener:")]
        assert sections[listener]["command"] == f"/srv/agent/bin/{program.name} --event-listener"
        found[listener] = dict(sections[f"program:{program.name}"])
    assert len(found) == len(PROGRAMS)
    first, *others = found.values()
    assert all(other == first for other in others)
