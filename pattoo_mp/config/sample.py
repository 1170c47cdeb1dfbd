"""The commented sample configuration, made from the declarations of the settings.

A required setting has its example as value. All other settings are commented out (`#name: default`),
so that a file shows at a glance what its owner has changed.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import yaml

from pattoo_mp.config.settings import program_files, program_sections, program_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.settings import Setting

_WIDTH: Final = 96
_ONE_LINE: Final = 10_000


def every_file() -> str:
    """All files, one after another, each below a line with its name."""
    return "\n".join(
        f"# ---------- {name} ----------\n{one_file(name)}" for name in program_files()
    )


def one_file(name: str) -> str:
    """The text of one of `files`."""
    first = next(setting for setting in program_settings() if setting.file == name)
    intro = (
        f"{name}, read from the directory that --config or PATTOO_CONFIGDIR names (/etc/pattoo without "
        f"them). Remove the # in front of a setting to change it. A setting that is commented out shows "
        f"its default, or an example if it has none. What {name}.d/*.yaml sets wins, then variables such as "
        f"{first.variable}. --reload puts changes in force."
    )
    texts = [
        "\n".join(
            _section(
                about, [s for s in program_settings() if (s.file, s.section) == (file, section)]
            )
        )
        for (file, section), about in program_sections().items()
        if file == name
    ]
    return "\n\n".join([_comment(intro), *texts]) + "\n"


def _section(about: str, settings: list[Setting]) -> Iterator[str]:
    yield _comment(about)
    yield f"{settings[0].section}:"
    for number, setting in enumerate(settings):
        if number:
            yield ""
        yield textwrap.indent(_setting(setting), "  ")


def _setting(setting: Setting) -> str:
    value = setting.default if setting.example is None else setting.example
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        # One line for each entry, and one # for each line.
        line = "\n".join([f"{setting.name}:", *(f"- {_flow(one)}" for one in value)])
    else:
        # A list is written on one line, so that one # comments it out.
        flow = None if isinstance(value, list) else False
        line = yaml.safe_dump({setting.name: value}, default_flow_style=flow, width=_WIDTH).rstrip()
    if not setting.is_required:
        line = textwrap.indent(line, "#")
    required = " Required." if setting.is_required else ""
    expected = _comment(f"Expected: {setting.expected}.{required}")
    return f"{_comment(setting.about)}\n{expected}\n{line}"


def _comment(text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _flow(entry: dict[str, object]) -> str:
    return yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=_ONE_LINE).rstrip()
