"""Where this installation has its command and the files that it ships."""

from __future__ import annotations

import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from pattoo_mp.errors import SetupError
from pattoo_mp.model import PROGRAM

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
