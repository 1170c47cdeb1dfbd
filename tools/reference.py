"""Text from the code for the documentation: the settings, and the sample configuration."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pattoo_mp.config import sample
from pattoo_mp.config.settings import (
    LATER_SHARED_FILE,
    SERVER,
    SHARED_FILE,
    program_files,
    program_sections,
    program_settings,
)
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.settings import Setting


#: An escaped bar in a cell of a Markdown table.
PIPE = r"\|"


def settings() -> str:
    """Return every setting, in Markdown: a table for each section of each file."""
    return "\n".join(
        line for place, about in program_sections().items() for line in _section(place, about)
    )


def samples() -> str:
    """Return the files that `--sample-config` prints, in Markdown."""
    return "\n".join(
        f"### {name}\n\n```yaml\n{sample.one_file(name)}```\n" for name in program_files()
    )


# For the man page of one file.


class _Page:
    file = SHARED_FILE


@contextmanager
def of_file(file: str) -> Iterator[None]:
    """Let the functions below be about this file of the program, during the block."""
    before, _Page.file = _Page.file, file
    try:
        yield
    finally:
        _Page.file = before


def man_about() -> str:
    """Return what the file is for."""
    if _Page.file == SHARED_FILE:
        return "Every pattoo program on this host reads it."
    return f"The settings of `{this_program().name}` only."


def man_settings() -> str:
    """Return the settings of the file, section by section, in Markdown."""
    return "\n\n".join(
        f"### {section}\n\n{about}\n\n{_definitions(section)}"
        for (file, section), about in program_sections().items()
        if file == _Page.file
    )


def man_files() -> str:
    """Return the files of the configuration, in Markdown."""
    found = {
        **{f"$PATTOO_CONFIGDIR/{name}": "" for name in program_files()},
        f"$PATTOO_CONFIGDIR/{LATER_SHARED_FILE}": f"Optional. Its section {SERVER} takes precedence over that of {SHARED_FILE}.",
    }
    found[f"$PATTOO_CONFIGDIR/{SHARED_FILE}"] = (
        "Settings that all pattoo programs on the host share."
    )
    found[f"$PATTOO_CONFIGDIR/{program_files()[-1]}"] = f"Settings of {this_program().name}."
    return "\n\n".join(f"`{name}`\n: {what}" for name, what in found.items())


def man_example() -> str:
    """Return the least that the file needs, in Markdown."""
    lines = []
    for file, section in program_sections():
        if file == _Page.file:
            of_section = [s for s in program_settings() if (s.file, s.section) == (file, section)]
            required = [f"  {s.name}: {s.example}" for s in of_section if s.is_required]
            first = of_section[0]
            lines += [f"{section}:", *(required or [f"  {first.name}: {first.default}"])]
    return "\n".join(["```yaml", *lines, "```"])


def _definitions(section: str) -> str:
    found = []
    for setting in program_settings():
        if (setting.file, setting.section) == (_Page.file, section):
            default = _default(setting)
            is_required = default == "required"
            is_empty = setting.default in ([], {}) or not default
            ends = " Required." if is_required else "" if is_empty else f" Default: {default}."
            about = " ".join(setting.about.split())
            found.append(f"`{setting.name}`\n: {about} Expected: {setting.expected}.{ends}")
    return "\n\n".join(found)


# For the pages.


def _section(place: tuple[str, str], about: str) -> Iterator[str]:
    file, section = place
    yield from (f"## {file}: {section}", "", about, "")
    yield from ("| setting | default | expected | what it is |", "|---|---|---|---|")
    for setting in program_settings():
        if (setting.file, setting.section) == place:
            cells = (f"`{setting.name}`", _default(setting), setting.expected, setting.about)
            yield f"| {' | '.join(cell.replace('|', PIPE) for cell in cells)} |"
    yield ""


def _default(setting: Setting) -> str:
    if setting.is_required:
        return "required"
    if setting.default is None:
        return ""  # its help explains the default
    is_switch = isinstance(setting.default, bool)
    return f"`{setting.readable(setting.default) if is_switch else setting.default}`"
