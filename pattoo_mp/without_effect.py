"""Settings that do nothing as long as another is as it is: pure. It is no error, but seldom meant so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def without_effect(values: Mapping[str, Any]) -> Iterator[str]:
    """A line for each, of settings by their names; None stands for a value with a problem."""
    is_on = "textfile" in (values["families"] or ())
    directory = values["textfile_directory"]
    if directory and not is_on:
        yield "textfile_directory: is not read, as families does not name textfile"
    if is_on and not directory:
        yield "families: textfile gives nothing, as textfile_directory is not set"
