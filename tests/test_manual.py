"""The man pages that ship: up to date, whole, and silent under the eyes of mandoc, groff and man."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli.verbs import command_parser
from pattoo_mp.config.settings import program_settings
from pattoo_mp.program import PROGRAMS, Program, acting_as
from pattoo_mp.receiver.server import command_parser as receiver_parser
from pattoo_mp.setup.main import command_parser as setup_parser
from tools import manual

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

PAGES = sorted(manual.SHIPPED.glob("*.[58]"))
SECTIONS = {
    "8": "NAME SYNOPSIS DESCRIPTION OPTIONS EXIT_STATUS ENVIRONMENT FILES EXAMPLES SEE_ALSO",
    "5": "NAME SYNOPSIS DESCRIPTION SETTINGS ENVIRONMENT FILES EXAMPLES SEE_ALSO",
}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_shipped_pages_are_up_to_date() -> None:
    """They are in docs/man; `make samples` writes them. Releases of docutils lay them out differently."""
    made = {name: manual.words(text) for name, text in manual.pages().items()}
    assert made == {page.name: manual.words(page.read_text()) for page in PAGES}
    assert len(made) == 2 * len(PROGRAMS) + 3


@every_page
@pytest.mark.parametrize(
    "command",
    [
        ["mandoc", "-Tlint"],
        ["groff", "-man", "-ww", "-z"],
        ["man", "--warnings", "--encoding=UTF-8", "-l"],
    ],
    ids=lambda command: command[0],
)
def test_no_program_has_a_word_to_say_about_a_page(page: Path, command: list[str]) -> None:
    """Neither a warning nor a matter of style."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*command, page], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    # man prints the page itself; the others only what is wrong.
    assert (done.returncode, done.stderr) == (0, "")
    assert "SEE ALSO" in done.stdout if command[0] == "man" else done.stdout == ""


@every_page
def test_whatis_finds_a_page_by_its_name(page: Path) -> None:
    """So that `man -k pattoo` lists it with what it is for."""
    if shutil.which("lexgrog") is None:
        pytest.skip("man-db is not installed")
    done = subprocess.run(
        ["lexgrog", page], capture_output=True, text=True, timeout=60, check=False
    )
    assert re.fullmatch(rf'{page}: "{page.stem} - .{{20,}}"\n', done.stdout)


@every_page
def test_a_page_has_the_sections_that_readers_look_for(page: Path) -> None:
    """As man-pages(7) names them."""
    headings = re.findall(r"^\.SH (.*)$", page.read_text(), re.MULTILINE)
    wanted = SECTIONS[page.suffix.removeprefix(".")].split()
    if page.stem == "pattoo_mp_setup":
        wanted[wanted.index("OPTIONS")] = "VERBS_AND_OPTIONS"
    assert set(wanted) <= {heading.replace(" ", "_") for heading in headings}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.short)
def test_a_page_of_a_program_has_all_its_verbs_and_options(program: Program) -> None:
    """And the page of its file has all its settings."""
    with acting_as(program):
        parser = command_parser()
        settings = {s.name: s.file for s in program_settings()}
    assert _terms(program.name, "8") >= set(parser.options()) - {"-h"}
    for name, file in settings.items():
        assert name in _terms(file, "5")


@pytest.mark.parametrize("parser", [receiver_parser(), setup_parser()], ids=lambda p: p.prog)
def test_a_page_of_another_command_has_all_its_options(parser: argparse.ArgumentParser) -> None:
    """Those of each verb, too."""
    options = set(parser.options())  # type: ignore[attr-defined]
    for _, _, command in parser.commands():  # type: ignore[attr-defined]
        options |= set(command.options())
    assert _terms(parser.prog, "8") >= options - {"-h"}


def test_a_page_says_what_is_true_of_its_own_program() -> None:
    """Switches as YAML has them; what may be missing; and the options of each verb in words of that verb."""
    pages = {page.name: " ".join(manual.words(page.read_text())) for page in PAGES}
    for name, page in pages.items():
        assert "False" not in page, name
        if name.endswith(".5"):
            assert f"{name.removesuffix('.5')} itself may be missing" in page
    assert "answers those who ask" in pages["pattoo_agent_os_spoked.8"]
    assert "asks the spokes" in pages["pattoo_agent_os_hubd.8"]
    verbs = {name: command.format_help() for name, _, command in setup_parser().commands()}
    assert [name for name, text in verbs.items() if "install below DIR" in text] == ["install"]


def _terms(name: str, section: str) -> set[str]:
    """What a page explains."""
    text = (manual.SHIPPED / f"{name}.{section}").read_text()
    terms = re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)
    return set(re.findall(r"[\w-]+", " ".join(terms).replace("\\-", "-").replace("\\fB", " ")))
