"""A shipped file, made to fit a host: what is replaced must be there, or nobody would notice."""

from __future__ import annotations

import re
import sysconfig
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import SetupError
from pattoo_mp.model import PROGRAM
from pattoo_mp.setup.host import CONFIGURATION, USER, File, below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


#: What needs no quotes in a unit, in a section of supervisord's, for logrotate or for a shell.
_PLAIN: Final = re.compile(r"/[\w./+@-]*")


def replaced(text: str, old: str, new: str) -> str:
    """The text with each `old` replaced. Raises `SetupError` if there is none."""
    if old not in text:
        raise SetupError(
            f"a shipped file has no {old.strip()!r}; expected the files of this release"
        )
    return text.replace(old, new)


def without_quotes(path: str) -> str:
    """The path, if it can stand in such a file as it is. Raises `SetupError`."""
    if not _PLAIN.fullmatch(path):
        raise SetupError(f"{path}: has characters that need quotes; expected a path without them")
    return path


# What starts the agent at boot: systemd's unit, or a section for the system's supervisord.

_UNIT: Final = f"/etc/systemd/system/{PROGRAM}.service"
_ENABLED: Final = f"/etc/systemd/system/multi-user.target.wants/{PROGRAM}.service"
#: Where distributions let their supervisord include files from: Debian, and the Red Hat family.
_SECTIONS: Final = {
    "/etc/supervisor/conf.d": f"{PROGRAM}.conf",
    "/etc/supervisord.d": f"{PROGRAM}.ini",
}


class Boot(StrEnum):
    """Who starts the agent."""

    SYSTEMD = "systemd"
    SUPERVISORD = "supervisord"
    NONE = "none"


def detect(root: Path) -> Boot:
    """Who runs services on this host: systemd, if it runs (sd_booted(3)), or a supervisord."""
    if below(root, "/run/systemd/system").is_dir():
        return Boot.SYSTEMD
    if any(below(root, directory).is_dir() for directory in _SECTIONS):
        return Boot.SUPERVISORD
    return Boot.NONE


def installed(paths: Iterable[str]) -> Boot | None:
    """Who starts it by one of the files at these `paths`; None if none of them is for that."""
    sections = {f"{directory}/{name}" for directory, name in _SECTIONS.items()}
    for path in paths:
        if path == _UNIT:
            return Boot.SYSTEMD
        if path in sections:
            return Boot.SUPERVISORD
    return None


def boot_files(boot: Boot, root: Path, shipped: Path, programs: Path) -> list[File]:
    """The files for the boot. `shipped` is where conf/ is, `programs` where the agent's command is."""
    without_quotes(str(programs))
    if boot is Boot.SYSTEMD:
        text = (shipped / f"{PROGRAM}.service").read_text(encoding="utf-8")
        return [File(_UNIT, unit(text, programs).encode())]
    if boot is Boot.SUPERVISORD:
        text = (shipped / f"{PROGRAM}.conf").read_text(encoding="utf-8")
        return [File(_section_path(root), sections(text, programs).encode())]
    return []


def unit(text: str, programs: Path) -> str:
    """The shipped unit, for an agent whose command is in `programs`."""
    return replaced(text, "Environment=PATH=/opt/pattoo_mp/bin:", f"Environment=PATH={programs}:")


def sections(text: str, programs: Path) -> str:
    """The shipped sections of supervisord's, for such an agent, run as its user."""
    text = replaced(
        text,
        'env PATH="%(here)s/../bin:%(here)s/../../../bin:%(ENV_PATH)s" pattoo_agent_os_autonomousd.py',
        str(programs / PROGRAM),
    )
    text = replaced(
        text,
        '; environment=PATTOO_CONFIGDIR="/etc/pattoo"\n',
        f'environment=PATTOO_CONFIGDIR="{CONFIGURATION}"\n',
    )
    return replaced(text, "; user=pattoo\n", f"user={USER}\n")


def is_enabled(root: Path) -> bool:
    """Whether systemd starts the agent at boot."""
    return below(root, _ENABLED).is_symlink()


def how_to_begin(boot: Boot, programs: Path) -> str:
    """The command that starts the agent, now and at boot."""
    return {
        Boot.SYSTEMD: f"systemctl daemon-reload && systemctl enable --now {PROGRAM}",
        Boot.SUPERVISORD: "supervisorctl update",
        Boot.NONE: f"sudo -u {USER} {programs / PROGRAM} --start",
    }[boot]


def how_to_forget(removed: Iterable[str]) -> list[str]:
    """The commands that make systemd or supervisord forget the files that were removed."""
    commands = {Boot.SYSTEMD: "systemctl daemon-reload", Boot.SUPERVISORD: "supervisorctl update"}
    return [commands[boot] for path in removed if (boot := installed([path]))]


def _section_path(root: Path) -> str:
    there = [directory for directory in _SECTIONS if below(root, directory).is_dir()]
    directory = there[0] if there else next(iter(_SECTIONS))
    return f"{directory}/{_SECTIONS[directory]}"


# logrotate's file, for whoever wants it to rotate the log in the agent's place.

PATH: Final = "/etc/logrotate.d/pattoo"


def logrotate_file(shipped: Path, directories: Mapping[str, str]) -> File:
    """The file for the directories that the settings name. `shipped` is where conf/ is."""
    text = (shipped / "pattoo.logrotate").read_text(encoding="utf-8")
    pid_in = directories.get("system_daemon_directory") or directories["daemon_directory"]
    log = f"{without_quotes(directories['log_directory'])}/pattoo.log"
    text = replaced(text, "/var/log/pattoo/pattoo.log", log)
    text = replaced(text, "/var/lib/pattoo/pid/", f"{without_quotes(pid_in)}/pid/")
    return File(PATH, text.encode())


# Where this installation has its command and the files that it ships.

_PACKAGE: Final = Path(__file__).resolve().parents[1]


def shipped() -> Path:
    """The directory of the configurations that we ship. Raises `SetupError`.

    It is beside the package in a checkout, and otherwise where pip's list of files has it: that depends
    on how it was installed (`--user`, `--prefix`).
    """
    beside = _PACKAGE.parent / "conf"
    if beside.is_dir():
        return beside
    unit = _installed(f"share/pattoo_mp/conf/{PROGRAM}.service")
    if unit is None:
        raise SetupError("share/pattoo_mp/conf: is not there; expected it beside the program")
    return unit.parent


def programs() -> Path:
    """The directory of the agent's command."""
    command = _installed(f"bin/{PROGRAM}")
    return command.parent if command else Path(sysconfig.get_path("scripts"))


def _installed(name: str) -> Path | None:
    """A file of this installation, by the end of its path; None if there is no such."""
    try:
        files = distribution("pattoo_mp").files or []
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if str(file).endswith(name)]
    return found[0].resolve() if found else None
