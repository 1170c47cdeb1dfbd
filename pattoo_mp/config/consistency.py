"""Settings that a person may think are in force, and are not: pure.

In files that other programs share, what this agent does not know is left alone, so a slip of the
pen there, or a setting in the wrong place, is no error. It is worth a word all the same.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import validators, values
from pattoo_mp.config.families import by_interval, names_on
from pattoo_mp.config.settings import LATER_SHARED_FILE, SERVER, SETTINGS, SHARED_FILE
from pattoo_mp.config.values import is_https
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pattoo_mp.config.settings import Setting
    from pattoo_mp.config.values import Config
    from pattoo_mp.config.yaml_files import Sections


#: Of two names with this much in common one is most often the other, mistyped (difflib's ratio).
_ALIKE: Final = 0.85


def misplaced(files: Mapping[str, Sections]) -> Iterator[str]:
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


# Settings that do nothing as long as another is as it is: pure. It is no error, but seldom meant so.

#: What the groups of families follow from.
_GROUPS: Final = ("families", "families_off", "polling_interval", "intervals")


def unused_settings(values: Mapping[str, Any]) -> Iterator[str]:
    """A line for each, of settings by their names; None stands for a value with a problem."""
    yield from _of_text_files(values["families"] or (), values["textfile_directory"])
    if all(values[name] is not None for name in _GROUPS):
        yield from _of_intervals(values)
    if values["servers"] is not None:
        yield from _of_tls(values)


def _of_text_files(families: Sequence[str], directory: object) -> Iterator[str]:
    is_on = "textfile" in families
    if directory and not is_on:
        yield "textfile_directory: is not read, as families does not name textfile"
    if is_on and not directory:
        yield "families: textfile gives nothing, as textfile_directory is not set"


def _of_intervals(values: Mapping[str, Any]) -> Iterator[str]:
    more, off, usual_ms, own = (values[name] for name in _GROUPS)
    names = names_on(more, off)
    for name in own:
        if name not in names:
            yield f"intervals: {name} is not polled, as it is off"
    shortest_s = min(by_interval(names, usual_ms, own)) / 1000
    jitter_s = values["post_jitter"] or 0
    if jitter_s > shortest_s:
        yield f"post_jitter: is {shortest_s:g}, the shortest interval, and not {jitter_s:g}"


def _of_tls(values: Mapping[str, Any]) -> Iterator[str]:
    if not any(map(is_https, [*values["servers"], values["proxy"] or ""])):
        for name in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
            if values[name]:
                yield f"{name}: is not used, as neither servers nor proxy has https"


# Settings that are good each for itself, and not together.


def contradictory_settings(config: Config) -> Iterator[TrustError]:
    """An error for each."""
    for server in config.server_urls if config.credentials_file else ():
        # What stays on this host may be a tunnel's end.
        if not values.is_https(server) and not validators.is_loopback(server):
            wrong = f"would go in the clear to {server}"
            expected = "servers with https"
            yield TrustError("credentials_file", config.credentials_file, wrong, expected)
    if config.proxy_credentials_file and config.proxy in {None, values.DIRECT}:
        wrong, expected = "is for no proxy", "the URL of one in proxy"
        yield TrustError("proxy_credentials_file", config.proxy_credentials_file, wrong, expected)
