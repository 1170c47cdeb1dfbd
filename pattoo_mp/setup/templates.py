"""The shipped files for systemd, supervisord and logrotate, adapted to a host."""

from __future__ import annotations

import re
import sysconfig
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import SetupError
from pattoo_mp.program import PROGRAMS, this_program
from pattoo_mp.setup.host import CONFIGURATION, USER, File, below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pattoo_mp.program import Program


#: Paths that need no quotes in a systemd unit, in supervisord's file, in logrotate's or in a shell.
_PLAIN_PATH: Final = re.compile(r"/[\w./+@-]*")


def replace(text: str, old: str, new: str) -> str:
    """Replace each `old`. Raises `SetupError` if there is none: the file would not be adapted."""
    if old not in text:
        raise SetupError(
            f"a shipped file has no {old.strip()!r}; expected the files of this release"
        )
    return text.replace(old, new)


def plain_path(path: str) -> str:
    """Return the path if it needs no quotes. Raises `SetupError` if it does."""
    if not _PLAIN_PATH.fullmatch(path):
        raise SetupError(f"{path}: has characters that need quotes; expected a path without them")
    return path


# --- systemd's unit, or the sections for the system's supervisord

_UNITS: Final = "/etc/systemd/system"
_WANTED: Final = f"{_UNITS}/multi-user.target.wants"
#: The directories whose files supervisord includes, on Debian and on the Red Hat family, and how the names
#: of these files end.
_SECTIONS: Final = {"/etc/supervisor/conf.d": ".conf", "/etc/supervisord.d": ".ini"}


#: The receiver's program, its unit, and the directory of its database.
RECEIVER: Final = "pattoo_mp_receiver"
RECEIVER_DIRECTORY: Final = f"/var/lib/{RECEIVER}"


class Boot(StrEnum):
    """What starts the agent at boot."""

    SYSTEMD = "systemd"
    SUPERVISORD = "supervisord"
    NONE = "none"


def detect(root: Path) -> Boot:
    """What runs services on this host: systemd, if it runs (sd_booted(3)), or a supervisord."""
    if below(root, "/run/systemd/system").is_dir():
        return Boot.SYSTEMD
    if any(below(root, directory).is_dir() for directory in _SECTIONS):
        return Boot.SUPERVISORD
    return Boot.NONE


def boot_of(paths: Iterable[str], programs: Sequence[Program] = PROGRAMS) -> Boot | None:
    """What starts one of `programs` by one of the files at `paths`; None if none of them does that."""
    units = {_unit(program.name) for program in programs}
    sections = {f"{d}/{program.name}{end}" for d, end in _SECTIONS.items() for program in programs}
    for path in paths:
        if path in units:
            return Boot.SYSTEMD
        if path in sections:
            return Boot.SUPERVISORD
    return None


def _unit(name: str) -> str:
    return f"{_UNITS}/{name}.service"


def boot_files(boot: Boot, root: Path, conf: Path, commands: Path) -> list[File]:
    """The files that start the agent at boot.

    `conf` is the directory of the shipped files, `commands` that of the agent's command.
    """
    plain_path(str(commands))
    if boot is Boot.SYSTEMD:
        text = (conf / f"{this_program().name}.service").read_text(encoding="utf-8")
        return [File(_unit(this_program().name), _unit_text(text, commands).encode())]
    if boot is Boot.SUPERVISORD:
        text = (conf / f"{this_program().name}.conf").read_text(encoding="utf-8")
        return [
            File(_section_path(root, this_program().name), _sections_text(text, commands).encode())
        ]
    return []


def receiver_files(boot: Boot, root: Path, conf: Path, commands: Path) -> list[File]:
    """The files that start the receiver at boot. Raises `SetupError` if nothing starts services there."""
    plain_path(str(commands))
    if boot is Boot.SYSTEMD:
        text = (conf / f"{RECEIVER}.service").read_text(encoding="utf-8")
        return [File(_unit(RECEIVER), _unit_text(text, commands).encode())]
    if boot is Boot.SUPERVISORD:
        text = (conf / f"{RECEIVER}.conf").read_text(encoding="utf-8")
        text = replace(text, f"/opt/pattoo_mp/bin/{RECEIVER}", str(commands / RECEIVER))
        return [File(_section_path(root, RECEIVER), text.encode())]
    raise SetupError(
        "--receiver: neither systemd nor supervisord runs here; expected --boot, to name one"
    )


def is_receiver(path: str) -> bool:
    """Whether the file at `path` starts the receiver at boot."""
    return Path(path).stem == RECEIVER


def _unit_text(text: str, commands: Path) -> str:
    """The shipped unit, for an agent whose command is in `commands`."""
    return replace(text, "Environment=PATH=/opt/pattoo_mp/bin:", f"Environment=PATH={commands}:")


def _sections_text(text: str, commands: Path) -> str:
    """The shipped sections for supervisord, for such an agent, run as its user."""
    text = replace(
        text,
        f'/bin/sh "%(here)s/agent.sh"{"" if this_program() is PROGRAMS[0] else f" {this_program().name}"}',
        str(commands / this_program().name),
    )
    text = replace(
        text,
        '; environment=PATTOO_CONFIGDIR="/etc/pattoo"\n',
        f'environment=PATTOO_CONFIGDIR="{CONFIGURATION}"\n',
    )
    return replace(text, "; user=pattoo\n", f"user={USER}\n")


def enabled(root: Path) -> list[str]:
    """Which of the agents and the receiver systemd starts at boot."""
    names = [*(program.name for program in PROGRAMS), RECEIVER]
    return [name for name in names if below(root, f"{_WANTED}/{name}.service").is_symlink()]


def start_command(boot: Boot, commands: Path, *, receiver: bool = False) -> str:
    """The command that starts the agent, and the receiver, now and at boot."""
    programs = f"{this_program().name} {RECEIVER}" if receiver else this_program().name
    return {
        Boot.SYSTEMD: f"systemctl daemon-reload && systemctl enable --now {programs}",
        Boot.SUPERVISORD: "supervisorctl update",
        Boot.NONE: f"sudo -u {USER} {commands / this_program().name} --start",
    }[boot]


def reload_commands(removed: Iterable[str]) -> list[str]:
    """The commands by which systemd or supervisord notices that these files were removed."""
    commands = {Boot.SYSTEMD: "systemctl daemon-reload", Boot.SUPERVISORD: "supervisorctl update"}
    agents = (path.replace(RECEIVER, PROGRAMS[0].name) for path in removed)
    return list(dict.fromkeys(commands[boot] for path in agents if (boot := boot_of([path]))))


def _section_path(root: Path, name: str) -> str:
    existing = [directory for directory in _SECTIONS if below(root, directory).is_dir()]
    directory = existing[0] if existing else next(iter(_SECTIONS))
    return f"{directory}/{name}{_SECTIONS[directory]}"


# --- logrotate's file, for hosts where it rotates the log instead of the agent

_LOGROTATE: Final = "/etc/logrotate.d"


def logrotate_path() -> str:
    """The path of this program's file; that of the first one is called as pattoo's log."""
    program = this_program()
    return f"{_LOGROTATE}/{'pattoo' if program is PROGRAMS[0] else program.name}"


def logrotate_file(conf: Path, directories: Mapping[str, str]) -> File:
    """The file for the directories of the settings. `conf` is the directory of the shipped files."""
    text = (conf / "pattoo.logrotate").read_text(encoding="utf-8")
    text = replace(text, PROGRAMS[0].name, this_program().name)
    text = replace(text, PROGRAMS[0].log_name, this_program().log_name)
    pid_in = directories.get("system_daemon_directory") or directories["daemon_directory"]
    log = this_program().log_name
    logs = plain_path(directories["log_directory"])
    text = replace(text, f"/var/log/pattoo/{log}", f"{logs}/{log}")
    text = replace(text, "/var/lib/pattoo/pid/", f"{plain_path(pid_in)}/pid/")
    return File(logrotate_path(), text.encode())


# --- the places of a supervisord for the agent alone, whose user cannot write to the configuration

_LOCAL_PATH: Final = f"{CONFIGURATION}/supervisord.local.conf"


def supervisord_file(directories: Mapping[str, str]) -> File:
    """What the shipped supervisord.conf reads on an installed host: places in the agent's directories.

    Run by root, that supervisord becomes the agent's user before it opens a file.
    """
    logs = plain_path(directories["log_directory"])
    files = plain_path(directories["daemon_directory"])
    return File(
        _LOCAL_PATH,
        f"""\
; Read by the supervisord.conf that pattoo_mp ships, for a supervisord for this agent only. The agent's
; user cannot write to this directory. supervisorctl reads no included file; it needs this one:
;
;     supervisorctl -c {_LOCAL_PATH} status

[unix_http_server]
file={files}/supervisor.sock

[supervisord]
user={USER}
logfile={logs}/supervisord.log
childlogdir={logs}
pidfile={files}/supervisord.pid

[supervisorctl]
serverurl=unix://{files}/supervisor.sock
""".encode(),
    )


# --- where this installation has its command and its shipped files

_PACKAGE: Final = Path(__file__).resolve().parents[1]
#: Where a distribution's package is (packaging/stage).
_PACKAGED: Final = Path("/usr/share/pattoo-mp")


def conf_directory() -> Path:
    """The directory of the shipped files. Raises `SetupError`.

    In a checkout it is beside the package. Otherwise it is where pip's list of files says, which
    depends on how the package was installed (`--user`, `--prefix`).
    """
    beside = _PACKAGE.parent / "conf"
    if beside.is_dir():
        return beside
    unit_file = _installed_file(f"share/pattoo_mp/conf/{this_program().name}.service")
    if unit_file is None:
        raise SetupError("share/pattoo_mp/conf: no such directory; expected it beside the program")
    return unit_file.parent


def is_packaged() -> bool:
    """Whether this is a distribution's package, which has set up the host itself."""
    return _PACKAGE.parent == _PACKAGED


def command_directory() -> Path:
    """The directory of the agent's command."""
    if is_packaged():
        return Path("/usr/bin")
    command = _installed_file(f"bin/{this_program().name}")
    return command.parent if command else Path(sysconfig.get_path("scripts"))


def _installed_file(name: str) -> Path | None:
    """A file of this installation by the end of its path; None if there is none."""
    try:
        files = distribution("pattoo_mp").files or []
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if str(file).endswith(name)]
    return found[0].resolve() if found else None
