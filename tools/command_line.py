"""Text from the command line for the documentation and the man page."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from pattoo_mp.cli import output
from pattoo_mp.cli.verbs import CONFIG_HELP, OPTIONS, program_verbs
from pattoo_mp.paths import OPTION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.cli.verbs import Option

#: An exit status and the comment above it.
_STATUS = re.compile(r"((?:^#: .*\n)+)^\w+: Final = (\d+)$", re.MULTILINE)


def verbs() -> str:
    """Return the verbs with their help, in Markdown."""
    return _definitions((f"`{verb.name}`", verb.help) for verb in program_verbs())


def options() -> str:
    """Return the options with their help, in Markdown."""
    of_every_verb = (f"`{OPTION} DIR`", CONFIG_HELP)
    return _definitions([of_every_verb, *((_form(option), option.help) for option in OPTIONS)])


def exit_statuses() -> str:
    """Return the exit statuses with the comments above them in the code, in Markdown."""
    found = _STATUS.findall(inspect.getsource(output))
    return _definitions((f"`{number}`", comment.replace("#:", "")) for comment, number in found)


def _form(option: Option) -> str:
    if option.choices is None:
        return f"`{option.name}`"
    return f"`{option.name} {'|'.join(option.choices())}`"


def _definitions(items: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{term}\n: {' '.join(text.split())}" for term, text in items)
