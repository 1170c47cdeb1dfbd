"""Comparing a new configuration with the one in force."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from pattoo_mp.config.load import changes, check, check_reload
from pattoo_mp.config.settings import agent_file, program_settings
from pattoo_mp.config.values import Config
from pattoo_mp.errors import ConfigError
from pattoo_mp.program import AUTONOMOUS, PROGRAMS, acting_as
from tests.support.agent import Agent
from tests.support.configs import config_in

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORIES = [setting.name for setting in program_settings() if setting.is_written_to]


def other(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    """A different value of the same type."""
    if value is None:
        return 1.5
    if value == ():
        return ("x",)
    if isinstance(value, dict):
        return {**value, "memory": 1000}
    return value + 1 if isinstance(value, int | float) else type(value)(f"{value}x")


def test_a_configuration_can_be_sent_in_a_message(home: Path) -> None:
    """The workers get the same configuration as control has."""
    config = config_in(home)
    assert Config.of(config.fields()) == config
    assert msgpack.unpackb(msgpack.packb(config.fields())) == config.fields()


@pytest.mark.parametrize("field", [field.name for field in fields(Config) if field.compare])
def test_a_different_field_is_one_changed_setting(home: Path, field: str) -> None:
    """By the name that it has in the files. A program does not see a setting that only another one has."""
    old = config_in(home)
    new = replace(old, **{field: other(getattr(old, field))})
    found: list[object] = []
    for program in PROGRAMS:
        with acting_as(program):
            found += [new.value_of(setting.key) for setting in changes(old, new)]
            assert changes(old, old) == []
    assert [value for value in found if value != getattr(new, field)] == []
    assert found


def test_an_unused_setting_is_never_a_change(home: Path) -> None:
    """`language` is checked, but not part of a `Config`."""
    agent = Agent(home)
    running = check(agent.configuration)
    agent.set_shared("language", "de")
    new = check(agent.configuration)
    assert new == running
    assert changes(running, new) == []
    assert "language" not in new.fields()


def test_settings_that_need_a_restart() -> None:
    """Open files, the lock, the host name and the view of the host are fixed at the start."""
    assert [setting.name for setting in program_settings() if setting.needs_restart] == [
        "log_directory", "cache_directory", "daemon_directory", "system_daemon_directory",
        "hostname", "procfs_path", "sysfs_path", "rootfs_path",
    ]  # fmt: skip
    assert DIRECTORIES == [
        "log_directory", "cache_directory", "daemon_directory", "system_daemon_directory",
    ]  # fmt: skip


def test_a_changed_host_name_is_refused(home: Path) -> None:
    """It would begin new charts in the middle of a run."""
    directory = Agent(home).configuration
    running = replace(check(directory), hostname="web1")
    with pytest.raises(ConfigError) as caught:
        check_reload(directory, running)
    assert caught.value.problems == (
        f"{directory}/{agent_file()}: {AUTONOMOUS.name}: hostname: not set; expected 'web1', "
        f"as in the running agent: a change needs a restart",
    )


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_changed_directory_is_refused_and_not_made(home: Path, name: str) -> None:
    """The line has file, setting, the new value and the one in force."""
    directory = Agent(home).configuration
    before: dict[str, Any] = {name: home / "before"}
    running = replace(check(directory), **before)
    now = getattr(check(directory), name)
    with pytest.raises(ConfigError) as caught:
        check_reload(directory, running)
    assert caught.value.problems == (
        f"{directory}/pattoo.yaml: pattoo: {name}: '{now}'; expected '{home}/before', "
        f"as in the running agent: a change needs a restart",
    )
    assert sorted(path.name for path in home.iterdir()) == ["etc"]


def test_an_invalid_file_is_refused_as_at_a_start(home: Path) -> None:
    """With the same lines, and no others."""
    agent = Agent(home)
    running = check(agent.configuration)
    agent.write(agent_file(), "nothing: here\n")
    with pytest.raises(ConfigError) as at_reload:
        check_reload(agent.configuration, running)
    with pytest.raises(ConfigError) as at_start:
        check(agent.configuration)
    assert at_reload.value.problems == at_start.value.problems
