"""Text from the code for the documentation: the settings, and the sample configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config import sample
from pattoo_mp.config.settings import program_files, program_sections, program_settings

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
    return f"`{setting.default}`"
