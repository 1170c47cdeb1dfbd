"""Settings that do nothing as long as another is as it is: pure. It is no error, but seldom meant so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.catalogue import by_interval, names_on
from pattoo_mp.config.urls import is_https

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What the groups of families follow from.
_GROUPS: Final = ("families", "families_off", "polling_interval", "intervals")


def without_effect(values: Mapping[str, Any]) -> Iterator[str]:
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
