"""Verbs and options as people type them."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.cli.verbs import command_parser, parse, program_verbs
from pattoo_mp.program import HUB, acting_as


@pytest.mark.parametrize(
    ("typed", "exact"),
    [
        ("status", "--status"),
        ("stat", "--status"),
        ("--stat", "--status"),
        ("--js --stat", "--json --status"),
        ("once disk_io --js memory", "--once --json disk_io memory"),
        ("--once -- memory", "--once memory"),
        ("sample --file pattoo.yaml", "--sample-config --file pattoo.yaml"),
        ("--fi=pattoo.yaml sample", "--sample-config --file=pattoo.yaml"),
        ("ev", "--event-listener"),
        ("logs --level WARNING", "--logs --level WARNING"),
        ("--foreground --ready-fd 3", "--foreground --ready-fd 3"),
    ],
)
def test_a_verb_needs_no_dashes_and_both_verbs_and_options_may_be_short(
    typed: str, exact: str
) -> None:
    """What follows an option is its value, and no verb."""
    assert parse(typed.split()).spelled_out == exact.split()


@pytest.mark.parametrize("verb", program_verbs(), ids=lambda verb: verb.name)
def test_every_verb_may_be_given_without_dashes(verb: object) -> None:
    """Whole, it is never ambiguous, also where another one begins with it."""
    name = getattr(verb, "name", "")
    assert parse([name.removeprefix("--")]).verb is verb
    assert parse([name]).verb is verb


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("stauts", "'stauts' is no verb; did you mean status?"),
        ("STATUS", "'STATUS' is no verb; did you mean status?"),
        ("\N{EN DASH}status", "did you mean status?"),
        ("--stauts", "unrecognized arguments: --stauts; did you mean --status?"),
        ("-status", "unrecognized arguments: -status; did you mean --status?"),
        ("status --jsno", "unrecognized arguments: --jsno; did you mean --json?"),
        ("once dsik_io", "unrecognized arguments: dsik_io; did you mean disk_io?"),
        ("sample --file patoo.yaml", "did you mean pattoo.yaml?"),
        ("sto sta", "unrecognized arguments: sta; --stop expects no such word"),
        ("st", "st may be start, stop or status; expected more of it"),
        ("--sta", "--sta may be --start or --status; expected more of it"),
        ("logs --json", "--json is only for --check, --once, --doctor or --status;"),
        ("--status --stop", "argument --stop: not allowed with argument --status"),
        ("zzzzzz", "'zzzzzz' is no verb;"),
        ("--ready 3", "unrecognized arguments: --ready"),
        ("--", "expected one of --start"),
    ],
)
def test_a_mistake_gets_one_line_with_what_was_probably_meant(
    typed: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or with all that an abbreviation may be."""
    with pytest.raises(SystemExit) as ended:
        parse(typed.split())
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


@pytest.mark.parametrize("word", ["", "a" * 100_000, "\x1b[31m", "=", "-", "\udc80", "--=x"])
def test_any_word_gets_one_printable_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A word of any length and content."""
    with pytest.raises(SystemExit):
        parse([word])
    (said,) = capsys.readouterr().err.splitlines()
    assert said.isprintable()


_NAMES = sorted({*command_parser().options()})
_TYPED = st.one_of(
    st.sampled_from(
        [*_NAMES, *(name.lstrip("-") for name in _NAMES), "--", "disk_io", "pattoo.yaml"]
    ),
    st.builds(lambda name, n: name[:n], st.sampled_from(_NAMES), st.integers(0, 12)),
    st.text(max_size=12),
)


@settings(deadline=None)
@given(st.lists(_TYPED, max_size=5))
def test_every_command_line_is_spelled_out_or_refused_in_one_line(words: list[str]) -> None:
    """What is spelled out is not changed by spelling it out again."""
    said, printed, code = io.StringIO(), io.StringIO(), None
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            found = parse(words).spelled_out
    except SystemExit as ended:
        code = ended.code
    if code is None:
        assert parse(found).spelled_out == found
    else:
        assert (code, said.getvalue().count("\n")) in {(2, 1), (0, 0)}


def test_a_program_knows_only_its_own_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """A hub polls no host."""
    with acting_as(HUB), pytest.raises(SystemExit):
        parse(["once"])
    assert "'once' is no verb" in capsys.readouterr().err


def test_the_help_says_how_verbs_may_be_given() -> None:
    """It shows them with dashes, as the original does."""
    assert "without dashes" in command_parser().format_help()
