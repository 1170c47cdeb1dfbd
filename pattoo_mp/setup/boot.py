"""What starts the agent at boot: systemd's unit, or a section for the system's supervisord."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import PROGRAM
from pattoo_mp.setup.found import below
from pattoo_mp.setup.inventory import CONFIGURATION, USER, File
from pattoo_mp.setup.replacing import replaced, without_quotes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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


def files(boot: Boot, root: Path, shipped: Path, programs: Path) -> list[File]:
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
