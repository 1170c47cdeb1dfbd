"""Numbers in the YAML files, and secrets in values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from pattoo_mp.config import load
from pattoo_mp.config.settings import SHARED_FILE, agent_file, program_settings
from pattoo_mp.config.yaml_files import read_sections, redacted
from pattoo_mp.errors import ConfigError
from pattoo_mp.program import AUTONOMOUS

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.settings import Setting


#: Numbers as text, with the interval in ms that they give.
UNAMBIGUOUS = [
    ("10", 10_000), ("+10", 10_000), ("07", 7000), ("0.5", 500), (".5", 500), ("010.5", 10_500),
    ("1_000", 1_000_000), ("0x10", 16_000), ("0b11", 3000), ("1.5e+3", 1_500_000),
]  # fmt: skip


def written(directory: Path, line: str, shared: str = "") -> Path:
    """Write configuration files with one line in the agent's own, and `shared` in the shared one."""
    (directory / SHARED_FILE).write_text(
        f"pattoo:\n  log_directory: {directory}\n  cache_directory: {directory}\n"
        f"  daemon_directory: {directory}\n{shared}"
    )
    (directory / agent_file()).write_text(f"{AUTONOMOUS.name}:\n  {line}\n")
    return directory


def problem(directory: Path, line: str) -> str:
    """The only problem of these files, which is with this line."""
    with pytest.raises(ConfigError) as caught:
        load.check(written(directory, line))
    (only,) = caught.value.problems
    return only.removeprefix(f"{directory / agent_file()}: {AUTONOMOUS.name}: ")


@pytest.mark.parametrize(("text", "interval_ms"), UNAMBIGUOUS)
def test_an_unambiguous_number_is_read_as_by_yaml(
    tmp_path: Path, text: str, interval_ms: int
) -> None:
    """Also with a leading 0 that does not matter, or in a programmer's notation."""
    config = load.check(written(tmp_path, f"polling_interval: {text}"))
    assert config.interval_ms == interval_ms == yaml.safe_load(text) * 1000


@pytest.mark.parametrize(
    ("text", "read"),
    [("010", "8"), ("-010", "-8"), ("0_10", "8"), ("1:30", "90"), ("1:00:00", "3600"), ("1:30.5", "90.5")],
)  # fmt: skip
def test_an_ambiguous_number_is_refused(tmp_path: Path, text: str, read: str) -> None:
    """With the value that YAML reads, and a hint if only the notation is wrong."""
    how = "" if text.startswith("-") else ", in plain decimals"
    assert problem(tmp_path, f"polling_interval: {text}") == (
        f"polling_interval: {text}, which YAML reads as {read}; expected a time such as 300 ms, 5m or 1h30m "
        "(units: ms, s, m, h, d, w), or a number of seconds from "
        f"0.01 to 86400, in whole milliseconds{how}"
    )


@pytest.mark.parametrize("text", ["1e1", "08", "'010'"])
def test_a_number_that_yaml_reads_as_text_gets_a_hint(tmp_path: Path, text: str) -> None:
    """With and without quotes."""
    message = problem(tmp_path, f"log_backups: {text}")
    assert message.endswith("; expected a whole number from 1 to 100, in plain decimals")


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("polling_interval: '10'", "in whole milliseconds, without quotes"),
        ("log_backups: '0x10'", "from 1 to 100, without quotes"),
        ("encrypted: 'yes'", "true or false, without quotes"),
        ("intervals: {processor: '0.1'}", "in whole milliseconds, for processor, without quotes"),
        ("intervals: {processor: 010}", "in whole milliseconds, for processor, in plain decimals"),
    ],
)
def test_a_quoted_number_or_boolean_gets_a_hint(tmp_path: Path, line: str, end: str) -> None:
    """Quotes make it a text."""
    assert problem(tmp_path, line).endswith(end)


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("log_backups: '1000'", "from 1 to 100"),
        ("log_backups: 'many'", "from 1 to 100"),
        ("log_backups: '2020-99-99'", "from 1 to 100"),
        ("post_jitter: ''", "from 0 to 3600"),
        ("disks_exclude: [010]", "so put it in quotes"),
        ("credentials_file: 010", "that only the agent's user can read"),
        ("hostname: 010", "a host name"),
    ],
)
def test_there_is_no_hint_if_another_notation_would_not_help(
    tmp_path: Path, line: str, end: str
) -> None:
    """The value is invalid in any notation."""
    assert problem(tmp_path, line).endswith(end)


def test_ambiguous_numbers_of_other_programs_are_ignored(tmp_path: Path) -> None:
    """In the shared file; and `language`, which accepts any value."""
    shared = "  language: 010\n  their_mode: 0640\npattoo_db:\n  db_pool: 010\n0755:\n  010: 1:30\n"
    assert load.check(written(tmp_path, "", shared)).log_directory == tmp_path


@pytest.mark.parametrize(
    "setting",
    [
        s
        for s in program_settings()
        if s.file == agent_file() and isinstance(s.default, (int, float))
    ],
    ids=lambda setting: setting.name,
)
def test_a_default_in_quotes_gets_a_hint(tmp_path: Path, setting: Setting) -> None:
    """For each setting that is a number or a boolean."""
    message = problem(tmp_path, f"{setting.name}: '{setting.default}'")
    assert message.endswith(", without quotes")


# --- files that would cost much, or cannot be shown


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("[" * 60_000, "more than 20 levels"),
        ('{"a":' * 10_000, "more than 20 levels"),
        (f"[{'[],' * 20_000}]", "more than 20000 values"),
        (f"&a [x]\n  b: [{'*a,' * 11}]", "more than 10 aliases"),
        ("&a [*a]", "the alias *a in what it names"),
        ("&a {x: [*a]}", "the alias *a in what it names"),
        ("0x" + "f" * 5_000, "very many digits"),
        ("1" + ":59" * 3_000, "very many digits"),
        ("0" + "7" * 5_000, "very many digits"),
    ],
)
def test_a_file_that_no_person_writes_is_refused_at_once(
    tmp_path: Path, value: str, what: str
) -> None:
    """Its library would take minutes, or end in a traceback; one line says what is wrong."""
    path = tmp_path / "x.yaml"
    path.write_text(f"section:\n  a: {value}\n")
    with pytest.raises(ConfigError) as caught:
        read_sections(path)
    (line,) = caught.value.problems
    assert what in line


def test_a_few_aliases_are_accepted(tmp_path: Path) -> None:
    """Programs that share a file may use some."""
    path = tmp_path / "x.yaml"
    path.write_text("one: &a {b: 1}\ntwo: *a\n")
    assert read_sections(path) == {"one": {"b": 1}, "two": {"b": 1}}


# --- secrets in values


@pytest.mark.parametrize(
    ("value", "expected"),
    [("!s3cret", "text that begins with ! needs quotes"),
     ("*s3cret", "text that begins with * needs quotes")],
)  # fmt: skip
def test_a_password_that_looks_like_a_tag_or_an_alias_is_not_shown(
    tmp_path: Path, value: str, expected: str
) -> None:
    """The line says what to do."""
    message = problem(tmp_path, f"credentials_file: {value}")
    assert "line 2: " in message
    assert expected in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://user:s3cret@host/x", "…@host/x"),
        ("user:s3cret@host", "…@host"),
        ("https://s3cret@host", "…@host"),
        ("http://user:s3/c@r:et@host", "…@host"),
        ("http://user:s3c\nret@host", "…@host"),
        ("https://host/write?token=s3cret", "https://host/write?…"),
        ("https://host/write#s3cret", "https://host/write#…"),
        (["a", "http://user:s3cret@host"], ["a", "…@host"]),
        ({"http://user:s3cret@host": {"b": "user:s3cret@host"}}, {"…@host": {"b": "…@host"}}),
    ],
)
def test_user_and_password_are_not_shown(value: object, shown: object) -> None:
    """Anywhere in a value."""
    assert redacted(value) == shown


@pytest.mark.parametrize("value", ["/a/b", "http://host:80/x", "a@b", 7, None, True, ["x"], 1.5])
def test_a_value_without_a_password_is_shown_as_it_is(value: object) -> None:
    """Also an address with an @."""
    assert redacted(value) == value
