"""The setting `commands`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from pattoo_mp.config import load
from pattoo_mp.config.commands import MAX_COMMANDS, shown
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.values import Command, Config
from tests.config.test_load import NAME, Files

if TYPE_CHECKING:
    from pathlib import Path

ONE: dict[str, Any] = {"name": "one", "command": ["/bin/true"]}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A valid configuration."""
    return Files(tmp_path)


def problems(files: Files, commands: object) -> list[str]:
    """The lines without the beginning that all share."""
    files.agent[NAME] |= {"families": ["commands"], "commands": commands}
    start = f"{files.directory}/{NAME}.yaml: {NAME}: commands: "
    found = files.problems()
    assert all(problem.startswith(start) for problem in found)
    return [problem.removeprefix(start) for problem in found]


def test_commands_keep_their_order_and_cross_to_the_collector(files: Files) -> None:
    """With their defaults, as MessagePack carries them."""
    files.agent[NAME]["commands"] = [
        {"name": "b", "command": ["/bin/b", "-w", "5"], "format": "nagios", "interval": 300,
         "timeout": 20, "environment": {"A": "1"}},
        {**ONE, "interval": 2},
    ]  # fmt: skip
    files.write()
    config = load.check(files.directory)
    assert config.commands == (
        Command("b", ("/bin/b", "-w", "5"), 300.0, 20.0, "nagios", (("A", "1"),)),
        Command("one", ("/bin/true",), 2.0, 2.0, "prometheus"),
    )
    sent = msgpack.unpackb(msgpack.packb(config.fields()))
    assert Config.of(sent) == config


def test_all_errors_are_found_at_once(files: Files) -> None:
    """Each line names the entry and the key; what may be a password is not shown."""
    found = problems(
        files,
        [
            {"name": "no good", "command": "check_disk -p secret", "intervall": 5},
            {"name": "two", "command": ["check_disk", "-p"], "interval": 0, "format": "json"},
            {"name": "three", "command": ["/bin/x", "-w", 5], "timeout": 61},
            {"name": "four", "command": ["/bin/x"], "environment": {"A": 5}},
            {"name": "four", "command": ["/bin/x"], "interval": 5, "timeout": 6},
            "/bin/x secret",
            {},
        ],
    )
    assert sorted(found) == sorted([
        "entry 1: name: 'no good'; expected 1 to 32 characters of a-z, 0-9, _ and -",
        "entry 1: command: '(not shown)'; expected a list of words, such as [/usr/local/lib/pattoo/orders, --all]",
        "entry 1: intervall: unknown key; expected interval",
        "two: command: 'check_disk'; expected the absolute path of a program as the first word, and each argument as a word of its own",
        "two: interval: 0; expected a time such as 300 ms, 5m or 1h30m (units: ms, s, m, h, d, w), or a number of seconds from 1 to 86400",
        "two: format: 'json'; expected prometheus or nagios",
        "three: command: 5; expected text; YAML reads some words as other types, so put it in quotes",
        "three: timeout: 61; expected at most the interval, 60 s",
        "four: environment: '(not shown)'; expected text of at most 4096 characters other than NUL and U+D800 to U+DFFF, in quotes, for A",
        "four: timeout: 6; expected at most the interval, 5 s",
        "entry 6: '(not shown)'; expected a mapping with the keys name and command",
        "entry 7: name: is not set; expected 1 to 32 characters of a-z, 0-9, _ and -",
        "entry 7: command: is not set; expected a list of words, such as [/usr/local/lib/pattoo/orders, --all]",
        "entry 5: name: 'four'; expected a name that no other command has",
    ])  # fmt: skip
    assert "secret" not in "".join(found)


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ({}, "expected a list of commands"),
        (
            [{"name": "one", "command": ["/bin/x"]} for _ in range(MAX_COMMANDS + 1)],
            f"expected at most {MAX_COMMANDS} commands",
        ),
        ([{**ONE, "command": []}], "expected 1 to 64 words"),
        ([{**ONE, "command": ["/bin/"]}], "expected the absolute path of a program"),
        ([{**ONE, "command": ["/bin/x\0"]}], "expected words of at most 4096 characters"),
        (
            [{**ONE, "command": ["/bin/x", "\ud800"]}],
            "expected words of at most 4096 characters other than NUL and U+D800 to U+DFFF",
        ),
        (
            [{**ONE, "environment": {"A": "\udc80"}}],
            "other than NUL and U+D800 to U+DFFF, in quotes, for A",
        ),
        ([{**ONE, "environment": {"A=B": "1"}}], "expected names of variables"),
        ([{**ONE, "environment": ["A"]}], "expected a mapping of texts"),
    ],
)
def test_what_is_no_command_is_refused(files: Files, commands: object, expected: str) -> None:
    """With one line."""
    (line,) = problems(files, commands)
    assert expected in line


def test_arguments_and_variables_are_not_shown() -> None:
    """They may hold a password."""
    entry = {**ONE, "command": ["/bin/x", "-p", "secret"], "environment": {"P": "secret"}}
    assert shown([entry, "secret", {"comand": "secret"}]) == [
        {"name": "one", "command": ["/bin/x", "(not shown)"], "environment": "(not shown)"},
        "(not shown)",
        {"comand": "(not shown)"},
    ]


@pytest.mark.parametrize(
    ("families", "commands", "note"),
    [
        (["commands"], [ONE], ""),
        ([], [ONE], "commands: has no effect, because families does not include commands"),
        (["commands"], [], "families: commands has nothing to run, because commands is not set"),
    ],
)
def test_the_setting_needs_the_family(
    files: Files, families: list[str], commands: list[object], note: str
) -> None:
    """A note tells if only one of them is set."""
    files.agent[NAME] |= {"families": families, "commands": commands}
    files.write()
    notes = read_files(files.directory).notes
    assert [one.partition(f"{NAME}: ")[2] for one in notes] == ([note] if note else [])


def test_a_program_that_others_may_write_to_is_a_problem(files: Files, home: Path) -> None:
    """So neither a start nor a reload accepts it."""
    path = home / "plugin"
    path.touch()
    path.chmod(0o777)
    files.agent[NAME] |= {"commands": [{**ONE, "command": ["/bin/sh", str(path)]}]}
    files.write()
    config = load.check(files.directory)
    (line,) = load.trust_problems(files.directory, config, path.stat().st_uid)
    assert f"{NAME}: commands: one: command: '{path}' can be written to by everybody" in line
