"""Settings that are valid on their own, but have no effect or must not be combined.

- `misplaced_settings` and `unused_settings` yield notes about settings that an administrator may
  think are in force, and are not. The files that other pattoo programs share may hold settings that
  this agent does not know, so a typo or a wrong section there is not an error, but worth a note.
- `conflicting_settings` yields errors: combinations that the agent refuses.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import validators, values
from pattoo_mp.config.families import by_interval, names_on
from pattoo_mp.config.settings import LATER_SHARED_FILE, SERVER, SHARED_FILE, program_settings
from pattoo_mp.config.values import PATTOO, PULL, is_https
from pattoo_mp.errors import TrustError
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pattoo_mp.config.settings import Setting
    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.config.yaml_files import Sections


#: difflib's ratio above which an unknown name is taken for a typo of a known one.
_SIMILAR: Final = 0.85


# --- settings in the wrong place


def misplaced_settings(files: Mapping[str, Sections]) -> Iterator[str]:
    """Yield a note for each setting of the shared files that the agent does not read where it is.

    `files` holds the sections of each file by its name.
    """
    for file in (SHARED_FILE, LATER_SHARED_FILE):
        for section, keys in files.get(file, {}).items():
            for key in keys:
                reason = _why_not_read(file, section, key)
                if reason:
                    yield f"{file}: {section}: {key} {reason}"


def _why_not_read(file: str, section: str, key: str) -> str:
    """Why the agent does not read this key; empty if it does, or if the key is not the agent's."""
    read_here = [
        setting.name for setting in program_settings() if _is_read_from(setting, file, section)
    ]
    if key in read_here:
        return ""
    elsewhere = next((setting for setting in program_settings() if setting.name == key), None)
    if elsewhere is not None:
        return f"is not read here, only in {elsewhere.file}, section {elsewhere.section}"
    similar = get_close_matches(key, read_here, n=1, cutoff=_SIMILAR)
    return f"is not a setting of this agent; did you mean {similar[0]}?" if similar else ""


def _is_read_from(setting: Setting, file: str, section: str) -> bool:
    may_be_in_later_file = file == LATER_SHARED_FILE and setting.section == SERVER
    return setting.section == section and (setting.file == file or may_be_in_later_file)


# --- settings without effect because of another setting

#: The settings that decide which families are polled together.
_GROUPS: Final = ("families", "families_off", "polling_interval", "intervals")


def unused_settings(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each setting that has no effect as long as another one is as it is.

    `values` holds the checked settings by name; None stands for one with a problem.
    """
    yield from _text_file_notes(values["families"] or (), values["textfile_directory"])
    yield from _command_notes(values["families"] or (), values["commands"])
    if all(values[name] is not None for name in _GROUPS):
        yield from _interval_notes(values)
    if values["servers"] is not None and values["outputs"] is not None:
        yield from _tls_notes(values)
        yield from _kind_notes(values)
    if values["outputs"] and values["families"] is not None and values["families_off"] is not None:
        yield from _family_notes(values["outputs"], values["families"], values["families_off"])


def _text_file_notes(families: Sequence[str], directory: object) -> Iterator[str]:
    is_on = "textfile" in families
    if directory and not is_on:
        yield "textfile_directory: has no effect, because families does not include textfile"
    if is_on and not directory:
        yield "families: textfile has nothing to read, because textfile_directory is not set"


def _command_notes(families: Sequence[str], commands: Sequence[object] | None) -> Iterator[str]:
    if commands is None:
        return
    is_on = "commands" in families
    if commands and not is_on:
        yield "commands: has no effect, because families does not include commands"
    if is_on and not commands:
        yield "families: commands has nothing to run, because commands is not set"


def _interval_notes(values: Mapping[str, Any]) -> Iterator[str]:
    more, off, default_ms, own = (values[name] for name in _GROUPS)
    names = names_on(more, off)
    for name in own:
        if name not in names:
            yield f"intervals: {name} is not polled, because this family is off"
    shortest_s = min(by_interval(names, default_ms, own)) / 1000
    jitter_s = values["post_jitter"] or 0
    if jitter_s > shortest_s:
        yield f"post_jitter: {jitter_s:g} is reduced to {shortest_s:g}, the shortest interval"


def _tls_notes(values: Mapping[str, Any]) -> Iterator[str]:
    urls = [*values["servers"], values["proxy"] or ""]
    for output in values["outputs"]:
        urls += [*output.urls, output.proxy or ""] if output.kind == PATTOO else ()
    if not any(map(is_https, urls)):
        for name in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
            if values[name]:
                yield f"{name}: has no effect, because neither servers nor proxy uses https"


#: Settings of the top level that are for outputs of kind pattoo.
_OF_PATTOO: Final = (
    "servers", "encrypted", "tls_ca_file", "tls_certificate_file", "tls_key_file",
    "credentials_file", "proxy", "proxy_credentials_file",
)  # fmt: skip


def _kind_notes(values: Mapping[str, Any]) -> Iterator[str]:
    outputs = values["outputs"]
    kinds = {output.kind for output in outputs} or {this_program().output}
    if PATTOO not in kinds:
        for name in _OF_PATTOO:
            if values[name]:
                yield f"{name}: has no effect, because no output is of kind {PATTOO}"
    for output in outputs:
        if output.kind == PULL:  # its certificate makes it use TLS
            continue
        trust = output.trust
        uses_tls = output.needs_tls or (output.kind == PATTOO and not output.urls)
        if not uses_tls and (trust.ca_file or trust.certificate_file):
            yield f"outputs: {output.name}: TLS files have no effect, because no URL of it uses https"


def _family_notes(
    outputs: Sequence[Output], more: Sequence[str], off: Sequence[str]
) -> Iterator[str]:
    polled = names_on(more, off)
    for output in outputs:
        wanted = polled if output.families is None else output.families
        for name in wanted:
            if name not in polled:
                yield (
                    f"outputs: {output.name}: families: {name} is not polled, because this family is off"
                )
        if not set(wanted) & set(polled):
            yield f"outputs: {output.name}: gets nothing, because none of its families is polled"


# --- settings that must not be combined


def conflicting_settings(output: Output) -> Iterator[TrustError]:
    """Yield an error for each combination of an output's settings that is refused."""
    trust = output.trust
    for server in output.urls if trust.credentials_file else ():
        # A loopback address may be the end of a tunnel.
        if not values.is_https(server) and not validators.is_loopback(server):
            wrong = f"would be sent unencrypted to {server}"
            expected = "servers with https" if output.kind == values.PATTOO else "a url with https"
            yield TrustError("credentials_file", trust.credentials_file, wrong, expected)
    if trust.proxy_credentials_file and output.proxy in {None, values.DIRECT}:
        wrong, expected = "has no proxy to be sent to", "the URL of a proxy in the setting proxy"
        yield TrustError("proxy_credentials_file", trust.proxy_credentials_file, wrong, expected)


#: The field of `Trust` that holds the path in each setting.
#: The settings of an output's transport, and their fields in `Trust`.
TRUST_FIELDS: Final = {
    "tls_ca_file": "ca_file",
    "tls_certificate_file": "certificate_file",
    "tls_key_file": "key_file",
    "credentials_file": "credentials_file",
    "proxy_credentials_file": "proxy_credentials_file",
    "tokens_file": "tokens_file",
}


def setting_of(config: Config, output: Output, name: str) -> str:
    """Return where the value of a setting of an output's transport is: `outputs: NAME: …`, or top level."""
    for given in config.given_outputs:
        if given.name == output.name and getattr(given.trust, TRUST_FIELDS.get(name, name)):
            return f"outputs: {output.name}: {name}"
    return name
