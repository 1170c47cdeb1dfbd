"""The output of --doctor, as text and as JSON."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pattoo_mp.cli.doctor import document, lines, summary
from pattoo_mp.doctor.finding import Part, note, ok, trouble

GOLDEN = Path(__file__).parent / "golden" / "doctor.txt"
VALIDATOR = Draft202012Validator(
    json.loads((files("pattoo_mp.cli") / "doctor.schema.json").read_text())
)
PARTS = (
    Part("Agent", (ok("process", "7, run by systemd's unit pattoo_agent.service"),)),
    Part(
        "Places",
        (
            ok("log_directory", "/var/log/pattoo"),
            trouble(
                "cache_directory",
                "/var/cache/pattoo cannot be written to, as pattoo",
                "install -d -o pattoo /var/cache/pattoo, or name another directory that "
                "the agent's user may write to",
            ),
        ),
    ),
    Part("Clock", (note("time server", "none is followed", "run chrony"),)),
)


def test_the_report_reads_as_the_golden_file() -> None:
    """Part by part, with the advice below each finding that has some, and a summary."""
    text = "\n".join(line for part in PARTS for line in lines(part))
    assert f"{text}\n{summary(PARTS)}\n" == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (PARTS[:1], "All is well."),
        (PARTS[::2], "All is well, 1 note."),
        (PARTS[:2], "Not well: 1 bad."),
    ],
)
def test_the_last_line_is_a_summary(parts: tuple[Part, ...], words: str) -> None:
    """With notes only, all is well."""
    assert summary(parts) == words


def test_control_characters_are_escaped() -> None:
    """Any user may choose the name of a mount."""
    text = lines(Part("Polls", (note("disk_partitions /a\x1b[2J\nb", "c", "d"),)))
    assert text[1].startswith(r"  note  disk_partitions /a\x1b[2J\nb")
    assert len(text) == 4


def test_the_document_matches_its_schema() -> None:
    """Each finding has its part; the document is well only if none is bad."""
    found = document(PARTS)
    VALIDATOR.validate(found)
    assert [finding["state"] for finding in found["findings"]] == ["ok", "ok", "bad", "note"]
    assert not found["is_well"]
    assert document(PARTS[::2])["is_well"]
