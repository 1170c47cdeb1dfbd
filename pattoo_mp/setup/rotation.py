"""logrotate's file, for whoever wants it to rotate the log in the agent's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.setup.inventory import File
from pattoo_mp.setup.replacing import replaced, without_quotes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATH: Final = "/etc/logrotate.d/pattoo"


def file(shipped: Path, directories: Mapping[str, str]) -> File:
    """The file for the directories that the settings name. `shipped` is where conf/ is."""
    text = (shipped / "pattoo.logrotate").read_text(encoding="utf-8")
    pid_in = directories.get("system_daemon_directory") or directories["daemon_directory"]
    log = f"{without_quotes(directories['log_directory'])}/pattoo.log"
    text = replaced(text, "/var/log/pattoo/pattoo.log", log)
    text = replaced(text, "/var/lib/pattoo/pid/", f"{without_quotes(pid_in)}/pid/")
    return File(PATH, text.encode())
