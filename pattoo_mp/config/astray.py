"""Settings that a person may think are in force, and are not: pure.

In files that other programs share, what this agent does not know is left alone, so a slip of the
pen there, or a setting in the wrong place, is no error. It is worth a word all the same.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.settings import LATER_SHARED_FILE, SERVER, SETTINGS, SHARED_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pattoo_mp.config.setting import Setting
    from pattoo_mp.config.yamlfile import Sections

#: Of two names with this much in common one is most often the other, mistyped (difflib's ratio).
_ALIKE: Final = 0.85


def astray(files: Mapping[str, Sections]) -> Iterator[str]:
    """A line for each setting of the shared files, by their names, that is read by nobody here."""
    for file in (SHARED_FILE, LATER_SHARED_FILE):
        for section, keys in files.get(file, {}).items():
            for key in keys:
                why = _why_not(file, section, key)
                if why:
                    yield f"{file}: {section}: {key} {why}"


def _why_not(file: str, section: str, key: str) -> str:
    """Why this agent does not read a setting there; empty if it does, or if it is not the agent's."""
    here = [setting for setting in SETTINGS if _is_read(setting, file, section)]
    names = [setting.name for setting in here]
    if key in names:
        return ""
    elsewhere = next((setting for setting in SETTINGS if setting.name == key), None)
    if elsewhere is not None:
        return f"is not read there, but in {elsewhere.file}, section {elsewhere.section}"
    alike = get_close_matches(key, names, n=1, cutoff=_ALIKE)
    return f"is not known to this agent; it knows {alike[0]}" if alike else ""


def _is_read(setting: Setting, file: str, section: str) -> bool:
    is_servers = file == LATER_SHARED_FILE and setting.section == SERVER
    return setting.section == section and (setting.file == file or is_servers)
