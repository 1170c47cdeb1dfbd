"""Reading and checking the configuration files."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.config import load
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.settings import program_settings
from pattoo_mp.errors import ConfigError
from pattoo_mp.paths import config_directory
from pattoo_mp.program import this_program
from pattoo_mp.util.files import path_permissions
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Config

NAME = "pattoo_agent_os_autonomousd"


class Files:
    """Configuration files of a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.shared: dict[str, Any] = {
            "pattoo": {
                "log_directory": f"{directory}/log",
                "cache_directory": f"{directory}/cache",
                "daemon_directory": f"{directory}/daemon",
            }
        }
        self.agent: dict[str, Any] = {NAME: {"polling_interval": 1}}

    def write(self) -> None:
        """Write both files."""
        (self.directory / "pattoo.yaml").write_text(yaml.safe_dump(self.shared))
        (self.directory / this_program().file).write_text(yaml.safe_dump(self.agent))

    def load(self) -> Config:
        """Write and read them."""
        self.write()
        return load.load(self.directory)

    def problems(self) -> tuple[str, ...]:
        """Write and read them; return the problems, for which they must be refused."""
        self.write()
        return refused(self.directory)


def refused(directory: Path) -> tuple[str, ...]:
    """The problems of a configuration that must be refused; each must be one line."""
    with pytest.raises(ConfigError) as caught:
        load.load(directory)
    assert caught.value.problems
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A valid configuration."""
    return Files(tmp_path)


def test_optional_settings_have_defaults(files: Files) -> None:
    """Only the three directories are required."""
    files.agent = {}
    loaded = files.load()
    assert (loaded.ip_address, loaded.ip_bind_port) == ("localhost", 20201)
    assert loaded.interval_ms == 300_000
    assert loaded.log_level == "info"
    assert loaded.system_daemon_directory == loaded.daemon_directory


def test_directories_are_made_for_the_user_only(files: Files) -> None:
    """With their parents, and not accessible to other users."""
    files.shared["pattoo"]["cache_directory"] = f"{files.directory}/a/b/c"
    loaded = files.load()
    assert loaded.cache_directory.is_dir()
    assert loaded.cache_directory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("required", ["log_directory", "cache_directory", "daemon_directory"])
def test_a_missing_required_setting_is_reported(files: Files, required: str) -> None:
    """The line has file, section, key and what is expected."""
    del files.shared["pattoo"][required]
    (problem,) = files.problems()
    assert problem == (
        f"{files.directory}/pattoo.yaml: pattoo: {required} is not set; "
        "expected the absolute path of a directory that the agent can write to"
    )


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(0.01, 10), (0.1, 100), (0.25, 250), (1, 1000), (1.5, 1500), (300, 300_000), (86400, 86_400_000)],
)  # fmt: skip
def test_an_interval_may_be_fractional(files: Files, seconds: float, milliseconds: int) -> None:
    """Seconds down to 0.01, in whole milliseconds."""
    files.agent[NAME]["polling_interval"] = seconds
    assert files.load().interval_ms == milliseconds


@pytest.mark.parametrize(
    "value",
    [0, -1, 0.009, 86401, 1e300, float("inf"), float("nan"), "1", True, [1], {"a": 1}, 0.0125,
     10**400],
)  # fmt: skip
def test_an_invalid_interval_is_refused(files: Files, value: object) -> None:
    """The line has the value and what is expected."""
    files.agent[NAME]["polling_interval"] = value
    (problem,) = files.problems()
    assert problem.startswith(f"{files.directory}/{NAME}.yaml: {NAME}: polling_interval: ")
    assert repr(value)[:40] in problem
    assert "or a number of seconds from 0.01 to 86400, in whole milliseconds" in problem


def test_families_may_have_their_own_intervals(files: Files) -> None:
    """Families that are on are grouped by interval; others do not matter."""
    files.agent[NAME]["intervals"] = {"partitions": 60, "processor": 0.1, "uptime": 5}
    loaded = files.load()
    assert list(loaded.groups) == [100, 1000, 60_000]
    assert loaded.groups[60_000] == ("partitions",)
    assert loaded.shortest_s == 0.1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"procesor": 1}, "'procesor'; expected processor"),
        ({"processor": 0}, "0; expected a time such as 300 ms"),
        ({"processor": None}, "None; expected a time such as 300 ms"),
        (["processor"], "['processor']; expected a mapping from families to times, such as {processor: 100 ms"),
        (60, "60; expected a mapping from families to times"),
    ],
)  # fmt: skip
def test_invalid_intervals_of_families_are_refused(files: Files, value: object, words: str) -> None:
    """With the invalid part, and what is expected of it."""
    files.agent[NAME]["intervals"] = value
    (problem,) = files.problems()
    assert problem.startswith(f"{files.directory}/{NAME}.yaml: {NAME}: intervals: {words}")


@pytest.mark.parametrize(
    ("seconds", "own", "given", "jitter_s"),
    [(300, {}, None, 60), (40, {}, None, 10), (300, {"processor": 2}, None, 0.5),
     (300, {}, 90, 90), (10, {}, 90, 10), (300, {"processor": 2}, 90, 2), (300, {}, 0, 0)],
)  # fmt: skip
def test_the_jitter_is_at_most_the_shortest_interval(
    files: Files, seconds: float, own: dict[str, float], given: float | None, jitter_s: float
) -> None:
    """Whatever post_jitter says. The default is a quarter of it, at most a minute."""
    files.agent[NAME] = {"polling_interval": seconds, "intervals": own, "post_jitter": given}
    assert files.load().jitter_s == jitter_s


@pytest.mark.parametrize(
    ("seconds", "own", "spacing_s"),
    [
        (0.1, {}, 2),
        (1, {}, 0.9),
        (300, {}, 1),
        (300, {"processor": 0.1}, 2),
        (0.1, {"memory": 300}, 2),
    ],
)
def test_posts_are_further_apart_with_an_interval_below_a_second(
    files: Files, seconds: float, own: dict[str, float], spacing_s: float
) -> None:
    """So that several polls share a post."""
    files.agent[NAME] = {"polling_interval": seconds, "intervals": own}
    assert files.load().spacing_s == spacing_s


@pytest.mark.parametrize(
    "host",
    ["localhost", "pattoo.example.org", "192.0.2.1", "2001:db8::1", "::1", "fe80::1%eth0", "a_b", "x."],
)  # fmt: skip
def test_host_names_and_addresses_are_accepted(files: Files, host: str) -> None:
    """IPv4, IPv6 and names."""
    files.shared["pattoo_agent_api"] = {"ip_address": host}
    assert files.load().ip_address == host


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "http://x", "x:80", "[::1]", "-a", "1.2.3", "1.2.3.4.5", "256.1.1.1", "x" * 254,
     7, ["::1"], "ü", "a/b", "a\nb"],
)  # fmt: skip
def test_an_invalid_host_is_refused(files: Files, host: object) -> None:
    """A URL, a name with a port, a typo, or an empty text."""
    files.shared["pattoo_agent_api"] = {"ip_address": host}
    (problem,) = files.problems()
    assert "ip_address" in problem
    assert "expected a host name or an IPv4 or IPv6 address" in problem


@pytest.mark.parametrize("port", [0, -1, 65536, "80", 1.5, True, [1]])
def test_an_invalid_port_is_refused(files: Files, port: object) -> None:
    """It must be a whole number from 1 to 65535."""
    files.shared["pattoo_agent_api"] = {"ip_bind_port": port}
    (problem,) = files.problems()
    assert f"ip_bind_port: {port!r}; expected a whole number from 1 to 65535" in problem


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("families", ["uptime", "presure"], "'presure'; expected pressure"),
        ("families", "uptime", "'uptime'; expected a list of any of per_processor, "),
        ("families_off", ["procesor"], "'procesor'; expected processor"),
        ("disks_exclude", ["sd[a"], "'sd[a'; expected a ] for each [, or [[] for a literal ["),
        ("mounts_include", None, None),
        ("mounts_include", [], "[]; expected at least one pattern; use ['*'] for everything"),
        ("top_processes", 21, "21; expected a whole number from 1 to 20"),
        ("top_processes", True, "True; expected a whole number from 1 to 20"),
        ("interfaces_include", "eth*", "'eth*'; expected a list of patterns such as ['veth*']"),
    ],
)
def test_an_invalid_part_is_refused(
    files: Files, setting: str, value: object, problem: str | None
) -> None:
    """With what was expected of it. A setting without a value has its default."""
    files.agent[NAME][setting] = value
    if problem is None:
        assert files.load().mounts_include == ("*",)
        return
    (found,) = files.problems()
    assert found.startswith(f"{files.directory}/{NAME}.yaml: {NAME}: {setting}: {problem}")


def test_all_problems_are_reported_together(files: Files) -> None:
    """One line for each, from both files."""
    files.shared["pattoo"]["log_level"] = "loud"
    files.shared["pattoo"]["cache_directory"] = "relative"
    files.shared["pattoo_agent_api"] = {"ip_bind_port": 0}
    files.agent[NAME] = {"polling_interval": -1, "poling_interval": 1}
    problems = files.problems()
    assert len(problems) == 5
    for word in ("log_level", "cache_directory", "ip_bind_port", "polling_interval: -1", "poling_"):
        assert any(word in problem for problem in problems), word


def test_unknown_keys_are_refused_only_in_the_agents_own_file(files: Files) -> None:
    """The shared file may hold settings of other programs."""
    files.shared["pattoo"]["of_another_program"] = 1
    files.shared["pattoo_db"] = {"password": "x"}
    files.shared["a list of somebody's"] = [1, 2]
    files.load()
    files.agent["pattoo_agent_os_spoked"] = {}
    (problem,) = files.problems()
    assert f"pattoo_agent_os_spoked: unknown section; expected {NAME}" in problem


def test_a_mistyped_setting_gets_the_most_similar_one(files: Files) -> None:
    """A name that is like none gets the command that prints all settings."""
    files.agent[NAME] = {"Poling_intervall": 1, "colour": "red"}
    mistyped, unknown = files.problems()
    assert mistyped.endswith("Poling_intervall: unknown setting; expected polling_interval")
    assert unknown.endswith(
        f"colour: unknown setting; expected one that --sample-config --file {NAME}.yaml prints"
    )


def test_a_missing_file_gets_the_command_that_prints_it(files: Files) -> None:
    """The sample of the same name."""
    files.write()
    (files.directory / "pattoo.yaml").unlink()
    (problem,) = refused(files.directory)
    assert problem.endswith("no such file; expected what --sample-config --file pattoo.yaml prints")


def test_the_later_shared_file_wins(files: Files) -> None:
    """pattoo_agent.yaml, where later releases of pattoo keep this section, if it has it."""
    files.shared["pattoo_agent_api"] = {"ip_address": "old", "ip_bind_port": 1}
    later = files.directory / "pattoo_agent.yaml"
    later.write_text("pattoo_agent_api:\n  ip_address: new\nother: 1\n")
    loaded = files.load()
    assert (loaded.ip_address, loaded.ip_bind_port) == ("new", 20201)
    later.write_text("something_else:\n  a: 1\n")
    assert files.load().ip_address == "old"
    later.write_text("pattoo_agent_api:\n  ip_bind_port: 0\n")
    (problem,) = files.problems()
    assert problem.startswith(str(later))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pattoo: [", "line 1"),
        ("pattoo:\n\tlog: 1", "line 2"),
        ("- a\n- b", "is a list; expected sections of settings"),
        ("just text", "is a text; expected sections"),
        ("pattoo: 5", "pattoo: is 5; expected settings below it"),
        ("pattoo: !!python/object/apply:os.system ['true']", "has a tag"),
        ("pattoo: !!map {}", "has a tag"),
        ("pattoo:\n  a: 1\n  a: 2", "duplicate key a"),
        ("a: 1\n---\nb: 2", "line 2: begins another document; expected a single document"),
        ("a: 1\nb: \x07\nc: 2", "line 2: has the character U+0007; expected YAML with printable"),
        ("a:\n  - *docker*", "line 2: "),
        ("a: [*docker*]", "expected YAML; text that begins with * needs quotes"),
        ("a: *docker", "expected YAML; text that begins with * needs quotes"),
        ("\x00", "expected YAML"),
        ("a: " + "[" * 3000, "line 1: has more than 20 levels"),
        ("a: " + "9" * 5000, "expected YAML"),
        ("a: 2020-99-99", "expected YAML"),
        ("? [a]\n: 1", "expected"),
        ("x" * (1 << 20) + "x", "is larger than"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_in_one_line(files: Files, text: str, words: str) -> None:
    """With file, line and what was expected; no traceback."""
    files.write()
    (files.directory / "pattoo.yaml").write_text(text)
    problems = refused(files.directory)
    assert words in problems[0]
    assert problems[0].startswith(f"{files.directory}/pattoo.yaml: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("pattoo:\n  # für alle\n".encode("latin-1"),
         "line 2: has the invalid byte 0xfc; expected text in UTF-8"),
        (b"pattoo: \xff\xfe\x00", "line 1: has the invalid byte 0xff; expected text"),
        (b"pattoo:\n\n\xe2\x82", "line 3: has the invalid byte 0xe2; expected text"),
        (b"\xff\xfea", "line 1: has the invalid byte 0x61; expected text"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_utf8_is_refused(files: Files, content: bytes, words: str) -> None:
    """With the line, because an editor may show such bytes as valid text."""
    files.write()
    (files.directory / "pattoo.yaml").write_bytes(content)
    (problem,) = refused(files.directory)
    assert problem.startswith(f"{files.directory}/pattoo.yaml: {words}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_utf_16_are_accepted(files: Files, encoding: str) -> None:
    """With or without a byte order mark, as editors of other systems write it."""
    files.write()
    text = f"# für alle\n{(files.directory / 'pattoo.yaml').read_text()}"
    (files.directory / "pattoo.yaml").write_bytes(text.encode(encoding))
    assert load.load(files.directory).log_directory == files.directory / "log"


@pytest.mark.parametrize("name", ["pattoo.yaml", f"{NAME}.yaml"])
def test_a_missing_file_or_directory_is_reported(files: Files, name: str) -> None:
    """Both files must exist, and so must the directory."""
    files.write()
    (files.directory / name).unlink()
    assert f"{files.directory}/{name}: no such file" in refused(files.directory)[0]
    assert "no such directory" in refused(files.directory / "nowhere")[0]


def test_a_fifo_in_place_of_a_file_is_refused_at_once(files: Files) -> None:
    """Reading it would wait for a writer."""
    files.write()
    path = files.directory / "pattoo.yaml"
    path.unlink()
    os.mkfifo(path)
    (problem,) = refused(files.directory)
    assert problem == f"{path}: is a FIFO; expected a regular file"


def test_a_directory_in_place_of_a_file_is_refused(files: Files) -> None:
    """With the system's error message."""
    files.write()
    (files.directory / "pattoo.yaml").unlink()
    (files.directory / "pattoo.yaml").mkdir()
    assert "cannot be read (Is a directory)" in refused(files.directory)[0]


@pytest.mark.parametrize("value", ["de_AT", "", "\ud800", False, 5, ["en"], {"a": 1}])
def test_any_language_is_accepted(files: Files, value: object) -> None:
    """Only other programs use it (and YAML reads Norwegian, `no`, as false); the agent must start."""
    without = files.load()
    files.shared["pattoo"]["language"] = value
    assert files.load() == without
    assert read_files(files.directory).values["language"] == value


@pytest.mark.parametrize("value", ["relative/path", "", " ", 5, ["/x"], True, "/a\0b"])
def test_an_invalid_path_is_refused(files: Files, value: object) -> None:
    """It must be absolute, because a daemon has no useful working directory."""
    files.shared["pattoo"]["log_directory"] = value
    (problem,) = files.problems()
    assert "log_directory" in problem


def test_a_directory_that_cannot_be_made_is_refused(files: Files) -> None:
    """A file is in its place, or its parent allows no directories."""
    (files.directory / "file").write_text("")
    files.shared["pattoo"]["log_directory"] = f"{files.directory}/file"
    files.shared["pattoo"]["cache_directory"] = "/proc/nowhere"
    problems = files.problems()
    assert len(problems) == 2
    assert "log_directory: " in problems[0]
    assert "cannot be made" in problems[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every directory")
def test_a_directory_that_cannot_be_written_to_is_refused(files: Files) -> None:
    """It exists, but belongs to another user."""
    files.shared["pattoo"]["log_directory"] = "/usr"
    (problem,) = files.problems()
    assert "cannot be written to" in problem


def test_an_unreadable_file_is_refused_with_its_owner(home: Path) -> None:
    """If its directory is accessible."""
    files = Files(home)
    files.write()
    home.chmod(0o755)
    path = files.directory / "pattoo.yaml"
    path.chmod(0o600 if os.geteuid() == 0 else 0o000)
    problem = as_nobody(lambda: refused(files.directory)[0])
    owner = as_nobody(lambda: path_permissions(path))
    assert problem == (
        f"{path}: cannot be read (Permission denied){owner}; expected a readable configuration file"
    )


def test_a_directory_that_is_closed_to_us_is_told_once_for_each_file(home: Path) -> None:
    """Not also for the directories of further files, which need not exist."""
    files = Files(home)
    files.write()
    home.chmod(0o755)
    files.directory.chmod(0o700 if os.geteuid() == 0 else 0o600)
    try:
        problems = as_nobody(lambda: "\n".join(refused(files.directory)))
    finally:
        files.directory.chmod(0o700)
    assert ".yaml: cannot be read (Permission denied)" in problems
    assert ".yaml.d" not in problems


def test_a_leading_tilde_is_the_home_directory(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the original agent."""
    monkeypatch.setenv("HOME", str(files.directory))
    files.shared["pattoo"]["log_directory"] = "~/logs"
    assert files.load().log_directory == files.directory / "logs"


def test_invalid_settings_do_not_hide_a_running_agent(files: Files) -> None:
    """--stop and --status need one directory, and find it even if all else is invalid."""
    files.shared["pattoo"]["log_level"] = "loud"
    files.agent[NAME]["polling_interval"] = "never"
    files.write()
    assert load.read_system_daemon_directory(files.directory) == files.directory / "daemon"


def test_the_environment_sets_the_configuration_directory() -> None:
    """PATTOO_CONFIGDIR, or /etc/pattoo if that is unset or empty."""
    assert config_directory({"PATTOO_CONFIGDIR": "/x"}) == Path("/x")
    assert config_directory({"PATTOO_CONFIGDIR": ""}) == Path("/etc/pattoo")
    assert config_directory({}) == Path("/etc/pattoo")


def test_a_configuration_directory_of_an_unknown_user_is_refused() -> None:
    """In one line."""
    with pytest.raises(ConfigError, match="PATTOO_CONFIGDIR: ~no-such-user/x: "):
        config_directory({"PATTOO_CONFIGDIR": "~no-such-user/x"})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
names = st.sampled_from([setting.name for setting in program_settings()]) | st.text(
    string.ascii_lowercase, min_size=1, max_size=8
)
sections = st.dictionaries(
    st.sampled_from(["pattoo", "pattoo_agent_api", NAME, "other"]) | st.text(max_size=5),
    values | st.dictionaries(names, values, max_size=4),
    max_size=4,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shared=sections, agent=sections)
def test_any_configuration_is_read_or_refused(
    tmp_path: Path, shared: dict[str, Any], agent: dict[str, Any]
) -> None:
    """Any content gives a `Config`, or a `ConfigError` with one-line problems."""
    outcome(tmp_path, yaml.safe_dump(shared, allow_unicode=True), yaml.safe_dump(agent))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(alphabet="pato:_- \n\t\"'[]{}!&*#|>%@,?0123.eE+~") | st.binary())
def test_any_text_is_read_or_refused(tmp_path: Path, text: str | bytes) -> None:
    """The same for texts that are mostly not YAML."""
    outcome(tmp_path, text, f"{NAME}:\n")


def outcome(directory: Path, shared: str | bytes, agent: str) -> None:
    """Check files with these texts; there must be one of the two outcomes."""
    as_bytes = shared.encode("utf-8", "surrogatepass") if isinstance(shared, str) else shared
    (directory / "pattoo.yaml").write_bytes(as_bytes)
    (directory / f"{NAME}.yaml").write_text(agent)
    check: Callable[[Path], Config] = load.check
    try:
        loaded = check(directory)
    except ConfigError as error:
        problems = error.problems
    else:
        assert loaded.interval_ms >= 10
        return
    assert problems
    assert all(len(problem.splitlines()) == 1 for problem in problems)


@pytest.mark.parametrize("name", ["credentials_file", "proxy_credentials_file"])
@pytest.mark.parametrize("value", ["s3cret", "user:s3cret", ["s3cret"], {"user": "s3cret"}, 5323])
def test_a_secret_in_place_of_its_file_is_refused_and_not_shown(
    files: Files, name: str, value: object
) -> None:
    """Neither in the problem nor by --check."""
    files.agent[NAME][name] = value
    (problem,) = files.problems()
    assert problem == (
        f"{files.directory}/{NAME}.yaml: {NAME}: {name}: (not shown); expected the absolute path of "
        "a file that only the agent's user can read"
    )
    found = {one.setting.name: one.given for one in read_files(files.directory).found}
    assert found[name] == "(not shown)"


@pytest.mark.parametrize(
    ("name", "value"),
    [("servers", ["https://a", "https://user:s3cret@b"]), ("proxy", "http://user:s3cret@b"),
     ("servers", "https://user:s3cret@b"), ("servers", [{"url": "https://user:s3cret@b"}]),
     ("polling_interval", "user:s3cret@b")],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_and_not_shown(
    files: Files, name: str, value: object
) -> None:
    """In any setting."""
    files.agent[NAME][name] = value
    (problem,) = files.problems()
    assert "s3cret" not in problem
    assert "…@b" in problem
    found = {one.setting.name: one.given for one in read_files(files.directory).found}
    assert "s3cret" not in str(found[name])


@pytest.mark.parametrize("value", [0, 0.5, -1, 86_401, "5", True, float("nan"), float("inf")])
def test_an_invalid_failover_after_is_refused(files: Files, value: object) -> None:
    """The minimum is a second."""
    files.agent[NAME]["failover_after"] = value
    (problem,) = files.problems()
    assert "failover_after" in problem
    assert (
        "; expected a time such as 300 ms, 5m or 1h30m (units: ms, s, m, h, d, w), or a number of seconds from 1 to 86400"
        in problem
    )
