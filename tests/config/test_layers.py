"""What sets a setting: the file, then the files in its directory `.d`, then variables of the environment."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.config import load, ways
from pattoo_mp.config.layers import read_variables, unknown_variables
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.settings import agent_file, program_settings
from pattoo_mp.errors import ConfigError
from pattoo_mp.program import PROGRAMS, SPOKE, Program, acting_as, this_program
from tests.config.test_every_setting import OTHER, USED, write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.reading import Found

NAME = this_program().name
SHARED = "pattoo.yaml"


@pytest.fixture(autouse=True)
def none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set but what a test sets."""
    for name in [name for name in os.environ if name.startswith("PATTOO_AGENT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def etc(home: Path) -> Path:
    """A valid configuration."""
    return write(home, {"polling_interval": 1})


def drop(etc: Path, name: str, content: str) -> Path:
    """Write a file below the directory of a file."""
    path = etc / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def own(etc: Path, name: str, **settings: object) -> Path:
    """Write such a file with settings of the agent's own."""
    return drop(etc, f"{agent_file()}.d/{name}", json.dumps({NAME: settings}))


def problems(etc: Path) -> list[str]:
    """The lines for which it is refused; each is printable."""
    with pytest.raises(ConfigError) as refused:
        load.check(etc)
    assert all(line.isprintable() for line in refused.value.problems)
    return list(refused.value.problems)


def found(etc: Path, name: str) -> Found:
    """A setting as it is configured."""
    return next(one for one in read_files(etc).found if one.setting.name == name)


# --- files


def test_files_are_read_in_the_order_of_their_names(etc: Path) -> None:
    """After the file itself. The last one wins, whenever it was written."""
    own(etc, "20-site.yaml", polling_interval="3 s", top_processes=3)
    own(etc, "10-all.yaml", polling_interval="2 s", top_processes=2, log_backups=2)
    loaded = load.check(etc)
    assert (loaded.interval_ms, loaded.top_processes, loaded.log_backups) == (3000, 3, 2)
    assert found(etc, "polling_interval").sources == (f"{agent_file()}.d/20-site.yaml",)
    assert found(etc, "log_backups").sources == (f"{agent_file()}.d/10-all.yaml",)


def test_mappings_are_merged_and_all_else_is_replaced(etc: Path) -> None:
    """Key by key; the sources are those that count."""
    own(etc, "1.yaml", intervals={"memory": 5, "processor": 5}, families=["uptime", "users"])
    own(etc, "2.yaml", intervals={"processor": "500 ms"}, families=["users"])
    loaded = load.check(etc)
    assert (loaded.intervals, loaded.families) == ({"memory": 5000, "processor": 500}, ("users",))
    assert found(etc, "intervals").sources == (
        f"{agent_file()}.d/1.yaml",
        f"{agent_file()}.d/2.yaml",
    )
    assert found(etc, "families").sources == (f"{agent_file()}.d/2.yaml",)


def test_a_setting_without_a_value_changes_nothing(etc: Path) -> None:
    """As in the file itself, it is not set there."""
    drop(etc, f"{agent_file()}.d/1.yaml", f"{NAME}:\n  polling_interval:\n")
    assert load.check(etc).interval_ms == 1000


def test_the_shared_file_has_such_a_directory_too(etc: Path) -> None:
    """With it, the commands find the agent."""
    drop(etc, f"{SHARED}.d/run.yaml", f"pattoo: {{system_daemon_directory: {etc}/run}}")
    assert load.check(etc).system_daemon_directory == etc / "run"
    assert load.read_system_daemon_directory(etc) == etc / "run"


@pytest.mark.parametrize("file", [SHARED, agent_file()])
def test_the_file_itself_may_be_missing(etc: Path, file: str) -> None:
    """If others stand in for it; a note says so."""
    (etc / f"{file}.d").mkdir()
    (etc / file).rename(etc / f"{file}.d" / "all.yaml")
    assert load.check(etc).interval_ms == 1000
    assert (
        f"{etc}/{file}: no such file; what is not set elsewhere has its default"
        in read_files(etc).notes
    )
    (etc / f"{file}.d" / "all.yaml").unlink()
    assert problems(etc) == [
        f"{etc}/{file}: no such file; expected what --sample-config --file {file} prints"
    ]


def test_only_names_that_end_in_yaml_are_read(etc: Path) -> None:
    """A note names those that a person may think are read, but not what editors and dpkg leave."""
    for name in ("1.yml", "2.YAML", "3.json", ".4.yaml", "5.yaml~", "6.yaml.dpkg-old", "README"):
        own(etc, name, polling_interval=9)
    assert load.check(etc).interval_ms == 1000
    notes = [line for line in read_files(etc).notes if "is not read" in line]
    assert [Path(line.partition(":")[0]).name for line in notes] == ["1.yml", "2.YAML", "3.json"]


def test_an_error_names_the_file_that_has_it(etc: Path) -> None:
    """Of a mapping, the one whose part is bad; a bad value that is overridden is none."""
    own(etc, "1.yaml", intervals={"memory": "5 M"}, top_processes=0, polling_interval="x")
    last = own(etc, "2.yaml", intervals={"processor": 5}, polling_interval="2s")
    first = last.with_name("1.yaml")
    intervals, top = problems(etc)
    assert intervals.startswith(
        f"{first}: {NAME}: intervals: '5 M'; expected a time such as 300 ms, 5m or 1h30m"
    )
    assert top == f"{first}: {NAME}: top_processes: 0; expected a whole number from 1 to 20"


def test_an_error_of_yaml_names_file_and_line(etc: Path) -> None:
    """As in the file itself."""
    path = drop(etc, f"{SHARED}.d/1.yaml", "pattoo:\n  log_level: info\n  log_level: debug\n")
    assert problems(etc) == [f"{path}: line 3: duplicate key log_level; expected YAML"]


def test_unknown_and_misplaced_settings_are_told_with_their_file(etc: Path) -> None:
    """Unknown ones of the agent's own files are errors, those of the shared files notes."""
    path = own(etc, "1.yaml", poling_interval=1)
    assert problems(etc) == [
        f"{path}: {NAME}: poling_interval: unknown setting; expected polling_interval"
    ]
    path.unlink()
    path = drop(etc, f"{SHARED}.d/1.yaml", "pattoo: {log_levl: debug}")
    assert read_files(etc).notes == (
        f"{path}: pattoo: log_levl is not a setting of this agent; did you mean log_level?",
    )
    path.write_text("pattoo: 5")
    assert problems(etc) == [f"{path}: pattoo: is 5; expected settings below it"]


def test_what_is_in_such_a_directory_is_bounded(etc: Path) -> None:
    """In number, and in size together."""
    for number in range(101):
        own(etc, f"{number}.yaml")
    directory = etc / f"{agent_file()}.d"
    assert problems(etc) == [f"{directory}: 101 files; expected at most 100"]
    assert len(ways.configuration_files(etc)) < 110
    for number in range(98):
        (directory / f"{number}.yaml").unlink()
    for number in (98, 99):
        (directory / f"{number}.yaml").write_text("#" * 600_000)
    (line,) = problems(etc)
    assert re.fullmatch(
        rf"{directory}: \d+ bytes in all; expected at most 1048576 in these files", line
    )


def test_what_cannot_be_read_there_gets_one_line(etc: Path) -> None:
    """A FIFO, a link to nothing, a directory, and a file in place of the directory."""
    directory = etc / f"{agent_file()}.d"
    directory.mkdir()
    os.mkfifo(directory / "1.yaml")
    (directory / "2.yaml").symlink_to("nothing")
    (directory / "3.yaml").mkdir()
    fifo, link, inner = problems(etc)
    assert fifo == f"{directory}/1.yaml: is a FIFO; expected a regular file"
    assert link == f"{directory}/2.yaml: no such file; expected one, or no link to it"
    assert inner.startswith(f"{directory}/3.yaml: cannot be read (Is a directory)")
    drop(etc, f"{SHARED}.d", "")
    assert f"{etc}/{SHARED}.d: Not a directory; expected a directory of *.yaml files" in problems(
        etc
    )


@pytest.mark.parametrize("part", ["", "1.yaml"])
def test_what_others_can_write_to_is_refused(etc: Path, part: str) -> None:
    """The directory and each file in it are checked as the file is, also by the commands for a running agent."""
    own(etc, "1.yaml", polling_interval=2)
    path = etc / f"{agent_file()}.d" / part
    assert ways.configuration_problems(etc) == []
    path.chmod(0o777)
    (line,) = ways.configuration_problems(etc)
    assert line.startswith(f"{path}: can be written to by everybody (mode 0777)")
    with pytest.raises(ConfigError, match="can be written to by everybody"):
        load.read_system_daemon_directory(etc)


def test_a_reload_reads_them_anew(etc: Path) -> None:
    """It says what has changed; what needs a restart is refused with the file that has it."""
    running = load.check(etc)
    path = own(etc, "1.yaml", polling_interval=2)
    assert [one.name for one in load.changes(running, load.check_reload(etc, running))] == [
        "polling_interval"
    ]
    path = drop(etc, f"{SHARED}.d/1.yaml", f"pattoo: {{log_directory: {etc}/elsewhere}}")
    with pytest.raises(ConfigError) as refused:
        load.check_reload(etc, running)
    assert refused.value.problems[0].startswith(
        f"{path}: pattoo: log_directory: '{etc}/elsewhere'; expected "
    )


# --- variables


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.short)
def test_each_setting_has_a_variable_of_its_own(program: Program) -> None:
    """By one rule."""
    with acting_as(program):
        names = {setting.variable: setting for setting in program_settings()}
        assert len(names) == len(program_settings())
    api = {name for name in names if name.startswith("PATTOO_AGENT_API_")}
    assert api == {"PATTOO_AGENT_API_IP_ADDRESS", "PATTOO_AGENT_API_IP_BIND_PORT"}
    for name, setting in names.items():
        assert name.removeprefix("PATTOO_AGENT_").removeprefix("API_") == setting.name.upper()
    assert ("PATTOO_AGENT_IP_BIND_PORT" in names) == (program is SPOKE)


@pytest.mark.parametrize("name", sorted(USED.keys() - {"encrypted"}))
def test_a_variable_overrides_the_files(
    etc: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the value that the file would have, lists and mappings too; `sources` names it."""
    setting = USED[name]
    (etc / "elsewhere").mkdir()
    text = json.dumps(OTHER[name]).replace("{home}", str(etc))
    expected = load.check(write(etc / "elsewhere", {"polling_interval": 1, name: json.loads(text)}))
    monkeypatch.setenv(setting.variable, text)
    assert load.check(etc).value_of(setting.key) == expected.value_of(setting.key)
    assert found(etc, name).sources[-1] == setting.variable
    assert load.check(etc).variables == [setting.variable]


def test_a_variable_is_the_last_file(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mappings are merged with those of files; an empty variable sets nothing."""
    own(etc, "1.yaml", intervals={"memory": 5}, polling_interval=2)
    monkeypatch.setenv("PATTOO_AGENT_INTERVALS", "{processor: 500 ms}")
    monkeypatch.setenv("PATTOO_AGENT_POLLING_INTERVAL", "")
    loaded = load.check(etc)
    assert (loaded.intervals, loaded.interval_ms) == ({"memory": 5000, "processor": 500}, 2000)
    assert loaded.variables == ["PATTOO_AGENT_INTERVALS"]


def test_variables_may_stand_in_for_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with an empty directory of configuration."""
    (home / "etc").mkdir()
    for name in ("log", "cache", "daemon"):
        monkeypatch.setenv(f"PATTOO_AGENT_{name.upper()}_DIRECTORY", f"{home}/{name}")
    assert problems(home / "etc") == [
        f"{home}/etc/{agent_file()}: no such file; expected what --sample-config --file {agent_file()} prints"
    ]
    monkeypatch.setenv("PATTOO_AGENT_POLLING_INTERVAL", "5s")
    assert load.check(home / "etc").interval_ms == 5000
    assert load.read_system_daemon_directory(home / "etc") == home / "daemon"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PATTOO_AGENT_POLING_INTERVAL", "5", "unknown variable; expected PATTOO_AGENT_POLLING_INTERVAL, or "),
        ("PATTOO_AGENT_polling_interval", "5", "unknown variable; expected PATTOO_AGENT_POLLING_INTERVAL, or "),
        ("PATTOO_AGENT_IP_ADDRESS", "x", "unknown variable; expected PATTOO_AGENT_API_IP_ADDRESS, or "),
        ("PATTOO_AGENT_", "", "unknown variable; expected "),
        ("PATTOO_AGENT_X_PORT", "5000", "unknown variable; expected "),
        ("PATTOO_AGENT_POLLING_INTERVAL", "5 M", "'5 M'; expected a time such as 300 ms, 5m or 1h30m (units: "),
        ("PATTOO_AGENT_POLLING_INTERVAL", "010", "010, which YAML reads as 8; expected a time such as "),
        ("PATTOO_AGENT_SERVERS", "https://a.example.org", "'https://a.example.org'; expected a list of URLs of pattoo "),
        ("PATTOO_AGENT_PROXY", "!secret", "line 1: has a tag; expected plain values; text that begins with ! needs quotes"),
        ("PATTOO_AGENT_DISKS_INCLUDE", "*", "line 1: has an alias of nothing; expected YAML; text that begins with * "),
        ("PATTOO_AGENT_CREDENTIALS_FILE", "secret", "(not shown); expected the absolute path of a file that only "),
        ("PATTOO_AGENT_HOSTNAME", "\udcff", "line 1: has the invalid byte 0xff; expected text in UTF-8"),
        ("PATTOO_AGENT_SERVERS", "[" * 1000, "line 1: has more than 20 levels; expected a short value"),
    ],
)  # fmt: skip
def test_a_bad_variable_gets_one_line(
    etc: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: str
) -> None:
    """It names the variable, and no secret. A command that looks for the agent ignores it."""
    monkeypatch.setenv(name, text)
    (line,) = problems(etc)
    assert line.startswith(f"{name}: {expected}")
    assert "secret" not in line
    assert load.read_system_daemon_directory(etc) == etc / "daemon_directory"


def test_all_problems_are_told_together(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files and variables."""
    own(etc, "1.yaml", top_processes=0)
    monkeypatch.setenv("PATTOO_AGENT_LOG_BACKUPS", "0")
    monkeypatch.setenv("PATTOO_AGENT_X", "0")
    assert [line.partition(": ")[0] for line in problems(etc)] == [
        "PATTOO_AGENT_LOG_BACKUPS", f"{etc}/{agent_file()}.d/1.yaml", "PATTOO_AGENT_X",
    ]  # fmt: skip


#: What Kubernetes sets for a service called pattoo-agent with a port called http.
OF_A_SERVICE = {
    "PATTOO_AGENT_SERVICE_HOST": "10.0.0.1", "PATTOO_AGENT_SERVICE_PORT": "5000",
    "PATTOO_AGENT_SERVICE_PORT_HTTP": "5000", "PATTOO_AGENT_PORT": "tcp://10.0.0.1:5000",
    "PATTOO_AGENT_PORT_5000_TCP": "tcp://10.0.0.1:5000", "PATTOO_AGENT_PORT_5000_TCP_PROTO": "tcp",
    "PATTOO_AGENT_PORT_5000_TCP_PORT": "5000", "PATTOO_AGENT_PORT_5000_TCP_ADDR": "10.0.0.1",
    "PATTOO_AGENT_OS_HUBD_SERVICE_HOST": "10.0.0.1", "PATTOO_AGENT_OS_HUBD_PORT": "udp://10.0.0.1:5000",
}  # fmt: skip


def test_variables_of_a_service_in_kubernetes_are_none_of_settings() -> None:
    """Or the agent would not start beside a service that has its name."""
    environment: Mapping[str, str] = OF_A_SERVICE
    assert unknown_variables(environment) == []
    errors: list[str] = []
    assert read_variables(errors, environment) == ()
    assert errors == []


def test_a_problem_found_later_names_the_variable(
    etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory, a file of the transport, what needs a restart."""
    running: Any = load.check(etc)
    file = etc / "file"
    file.touch()
    monkeypatch.setenv("PATTOO_AGENT_CACHE_DIRECTORY", f"{file}/below")
    monkeypatch.setenv("PATTOO_AGENT_TLS_CA_FILE", str(file))
    monkeypatch.setenv("PATTOO_AGENT_SERVERS", "['https://a.example.org']")
    with pytest.raises(ConfigError) as refused:
        load.check_reload(etc, running)
    restart, ca = refused.value.problems
    assert restart.startswith(f"PATTOO_AGENT_CACHE_DIRECTORY: '{file}/below'; expected ")
    assert ca.startswith(f"PATTOO_AGENT_TLS_CA_FILE: '{file}' ")
    with pytest.raises(ConfigError, match=f"^PATTOO_AGENT_CACHE_DIRECTORY: '{file}/below' "):
        load.load(etc)


def test_a_note_names_the_variable(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a file that has nothing about it."""
    monkeypatch.setenv("PATTOO_AGENT_FAMILIES", "[textfile]")
    assert read_files(etc).notes == (
        "PATTOO_AGENT_FAMILIES: textfile has nothing to read, because textfile_directory is not set",
    )
