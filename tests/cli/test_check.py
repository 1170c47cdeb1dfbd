"""The output of --check, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pattoo_mp.cli.check import Checked, document, lines
from pattoo_mp.config import load
from pattoo_mp.config.host_checks import State
from pattoo_mp.config.layers import Layers
from pattoo_mp.config.reading import Reading, read_setting
from pattoo_mp.config.settings import LATER_SHARED_FILE, SERVER, program_settings
from pattoo_mp.doctor.server import ServerCheck

GOLDEN = Path(__file__).parent / "golden" / "check.txt"
VALIDATOR = Draft202012Validator(
    json.loads((files("pattoo_mp.cli") / "check.schema.json").read_text())
)
ETC = Path("/etc/pattoo")
SHOWN = {
    "log_directory", "cache_directory", "daemon_directory", "system_daemon_directory", "log_level",
    "ip_address", "ip_bind_port", "polling_interval",
}  # fmt: skip
SECTIONS: dict[str, dict[str, object]] = {
    "pattoo": {
        "log_directory": "/var/log/pattoo",
        "cache_directory": "/var/cache/pattoo",
        "daemon_directory": "/var/lib/pattoo",
    },
    SERVER: {"ip_address": "pattoo.example.org"},
}


def checked(**more: object) -> Checked:
    """The result for a good configuration, except for `more`."""
    problems: list[str] = []
    found = [
        read_setting(
            setting,
            Layers.of(ETC / (LATER_SHARED_FILE if setting.section == SERVER else setting.file), SECTIONS),
            problems,
        )
        for setting in program_settings()
    ]  # fmt: skip
    note = "/etc/pattoo/pattoo.yaml: pattoo_agent_api does not count: …"
    settings = load.config_from(Reading(tuple(found), tuple(problems)))
    # A fixed choice, so that a new setting does not change the golden file.
    shown = tuple(one for one in found if one.setting.name in SHOWN)
    reading = Reading(shown, (), (note,))
    states = {path: State(is_there=True) for _, path in load.named_directories(settings)}
    states[Path("/var/cache/pattoo")] = State(is_there=False)
    states[Path("/var/lib/pattoo")] = State(is_there=True, problem="cannot be written to")
    server = ServerCheck("http://pattoo.example.org:20201/status", "", 0.0123)
    values = {"problems": (), "config": settings, "states": states, "server": server, **more}
    return Checked(ETC, reading, **values)  # type: ignore[arg-type]


def test_the_report_reads_as_the_golden_file() -> None:
    """Settings by section, directories and server, in columns."""
    assert "\n".join(lines(checked())) + "\n" == GOLDEN.read_text()


def test_a_failing_server_is_shown_with_its_error() -> None:
    """And "All is well." is missing."""
    text = lines(checked(server=ServerCheck("http://x/status", "Connection refused", 0.002)))
    assert text[-1] == "  http://x/status  Connection refused (after 2 ms)"


def test_servers_are_shown_in_order_of_preference() -> None:
    """If several are configured, all of them must be well."""
    others = (
        ServerCheck("http://longer/status", "Connection refused", 0.002),
        ServerCheck("http://z", "", 0.1),
    )
    found = checked(server=ServerCheck("http://x/status", "", 0.003), other_servers=others)
    assert lines(found)[-3:] == [
        "  http://x/status       is well, answers within 3 ms",
        "  http://longer/status  Connection refused (after 2 ms)",
        "  http://z              is well, answers within 100 ms",
    ]
    shown = document(found)
    VALIDATOR.validate(shown)
    assert [asked["url"] for asked in shown["other_servers"]] == [
        "http://longer/status",
        "http://z",
    ]


def test_unreadable_files_end_the_check() -> None:
    """Neither directories nor servers are checked then."""
    nothing = Checked(ETC, Reading((), ("bad",)), ("bad",))
    assert lines(nothing) == ["Configuration in /etc/pattoo"]
    assert document(nothing) == {
        "schema": 1, "directory": "/etc/pattoo", "settings": [], "directories": [],
        "outputs": [], "server": None, "other_servers": [], "notes": [], "problems": ["bad"],
    }  # fmt: skip
    VALIDATOR.validate(document(nothing))


def test_control_characters_are_escaped() -> None:
    """A value stays on one line, whatever the file contains."""
    found = read_setting(
        program_settings()[0],
        Layers.of(ETC / "x", {"pattoo": {"log_directory": "a\x1b[2J\nb"}}),
        [],
    )
    assert lines(Checked(ETC, Reading((found,), ()), ()))[2] == r"    log_directory  a\x1b[2J\nb  x"


def test_the_document_matches_its_schema() -> None:
    """With values of each type, including those that YAML has and JSON lacks."""
    found = document(checked())
    VALIDATOR.validate(found)
    values = {setting["name"]: setting["value"] for setting in found["settings"]}
    assert values["ip_bind_port"] == 20201
    assert values["system_daemon_directory"] == "/var/lib/pattoo"
    assert found["server"]["round_trip_s"] == 0.0123
    problems: list[str] = []
    wrong: list[object] = [date(2020, 1, 1), [1], {"a": 1}, b"x", None]
    settings = [
        read_setting(
            program_settings()[0], Layers.of(ETC, {"pattoo": {"log_directory": v}}), problems
        )
        for v in wrong
    ]
    assert len(problems) == len(wrong)
    VALIDATOR.validate(document(Checked(ETC, Reading(tuple(settings), ()), tuple(problems))))


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_all_is_well_only_if_every_server_is(failing: int) -> None:
    """Polls go to the second server when the first fails: both are checked before that."""
    servers = [
        ServerCheck(f"http://{n}", "Connection refused" if n == failing else "", 0.1)
        for n in range(3)
    ]
    found = checked(server=servers[0], other_servers=tuple(servers[1:]), states={})
    assert not found.is_well
    servers[failing] = ServerCheck("http://x", "", 0.1)
    assert replace(found, server=servers[0], other_servers=tuple(servers[1:])).is_well
