"""The man pages. They ship as docutils made them, so installing the agent needs neither Sphinx nor docutils.

A page is Markdown: `docs/command-line.md` for the agents, `docs/man/*.md` for the rest. What the code declares
is put in by the same `from-code` blocks as on the pages of the documentation.
"""

from __future__ import annotations

import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docutils.core import publish_string
from myst_parser.parsers.docutils_ import Parser

from pattoo_mp import __version__
from pattoo_mp.config.settings import SHARED_FILE
from pattoo_mp.program import AUTONOMOUS, PROGRAMS, acting_as, this_program
from tools import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.program import Program

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
SHIPPED: Final = DOCS / "man"

#: The day of the release that the pages describe: a page that ships must not change from day to day.
_DATE: Final = "2026-11-30"
_MOST_COLUMNS: Final = 78

#: No hyphens, and no spread words in their place.
_NAMES_STAY_WHOLE: Final = (".nh", ".ad l")

#: Requests of man(7) that contain text, and not only layout.
_WITH_TEXT: Final = {".SH", ".SS", ".B", ".I", ".IP"}


def pages() -> dict[str, str]:
    """Return all man pages by the names of their files."""
    return {f"{name}.{section}": text for name, section, text in _pages()}


def write() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (SHIPPED / name).write_text(text, encoding="utf-8")


def words(page: str) -> list[str]:
    """Return the words that a reader sees; releases of docutils lay them out differently."""
    _, *sections = page.partition(".SH")
    return [word for line in "".join(sections).splitlines() for word in _text(line).split()]


def _text(line: str) -> str:
    request, _, rest = line.partition(" ")
    if line.startswith("."):
        line = rest if request in _WITH_TEXT else ""
    return re.sub(r'\\f\w|\\&|["\\]', "", line)


def _pages() -> Iterator[tuple[str, str, str]]:
    for program in PROGRAMS:
        with acting_as(program):
            yield _of_program(program)
    for name in ("pattoo_mp_receiver", "pattoo_mp_setup"):
        heading, _, body = (SHIPPED / f"{name}.md").read_text("utf-8").partition("\n")
        yield name, "8", _roff(name, "8", heading.partition(" - ")[2], body)
    yield _of_file(SHARED_FILE, AUTONOMOUS)
    for program in PROGRAMS:
        yield _of_file(program.file, program)


def _of_program(program: Program) -> tuple[str, str, str]:
    about = program.about.rstrip(".")
    _, _, body = (DOCS / "command-line.md").read_text("utf-8").partition("\n")
    body = body.replace(AUTONOMOUS.log_name, program.log_name)
    return program.name, "8", _roff(program.name, "8", about[0].lower() + about[1:], _named(body))


def _of_file(file: str, program: Program) -> tuple[str, str, str]:
    """The page of a configuration file, for the program that has it."""
    _, _, body = (SHIPPED / "settings.md").read_text("utf-8").partition("\n")
    own = file == program.file
    about = f"of {program.name}" if own else "that all pattoo programs on a host share"
    others = [SHARED_FILE] if own else [each.file for each in PROGRAMS]
    body = body.replace("SEE_ALSO", ", ".join(f"**{other}**(5)" for other in others))
    with acting_as(program), reference.of_file(file):
        return file, "5", _roff(file, "5", f"settings {about}", _named(body.replace("FILE", file)))


def _named(body: str) -> str:
    """The text about this program, written for the first one."""
    name = this_program().name
    return body if name == AUTONOMOUS.name else body.replace(AUTONOMOUS.name, name)


def _roff(name: str, section: str, about: str, markdown: str) -> str:
    """Make the page from Markdown without its heading. Raises docutils' `SystemMessage` on bad Markdown."""
    markdown = re.sub(r"```\{from-code\} ([\w.]+):(\w+)\n```", _from_code, markdown)
    markdown = re.sub(
        r"\[([^]]+)\]\([^)]+\)", r"\1", markdown
    )  # a link leads nowhere in a terminal
    markdown = re.sub(
        r"^## (.*)$", lambda found: f"# {found[1].upper()}", markdown, flags=re.MULTILINE
    )
    markdown = re.sub(r"^### ", "## ", markdown, flags=re.MULTILINE)
    made = publish_string(
        f"# NAME\n\n{name} - {about}\n\n{markdown}",
        parser=Parser(),
        writer="manpage",
        settings_overrides={
            "myst_enable_extensions": ["deflist"],
            "output_encoding": "unicode",
            "doctitle_xform": False,
            "halt_level": 2,
            "_disable_config": True,
        },
    )
    macros, _, body = made.partition("\n.TH ")
    _, _, body = body.partition("\n.SH NAME\n")
    title = f'.TH "{name.upper()}" "{section}" "{_DATE}" "pattoo_mp {__version__}" "pattoo_mp"'
    lines = [*macros.splitlines()[2:], title, *_NAMES_STAY_WHOLE, ".SH NAME", *_lines(body)]
    # groff alone takes no UTF-8.
    return re.sub(r"[^\0-\x7f]", lambda found: rf"\[u{ord(found[0]):04X}]", "\n".join(lines)) + "\n"


def _from_code(block: re.Match[str]) -> str:
    made: str = getattr(import_module(block[1]), block[2])()
    return made


def _lines(body: str) -> Iterator[str]:
    """The lines as mandoc's lint wants them: none too long, no space at the end, no needless paragraph."""
    is_literal, before = False, ".SH"
    for line in body.splitlines():
        if line.startswith((".EX", ".EE")):
            is_literal = line == ".EX"
        if line == ".sp" and before.startswith((".SH", ".SS")):
            continue
        before = line
        if is_literal or line.startswith("."):
            yield line.rstrip()
            continue
        for part in textwrap.wrap(
            line, _MOST_COLUMNS, break_long_words=False, break_on_hyphens=False
        ):
            yield rf"\&{part}" if part.startswith((".", "'")) else part
