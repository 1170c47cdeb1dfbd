"""A configuration in the place of another."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from pattoo_mp.config.load import changes, check, check_reload
from pattoo_mp.config.settings import AGENT_FILE, SETTINGS
from pattoo_mp.config.values import Config
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import PROGRAM
from tests.support.agent import Agent
from tests.support.configs import config_in

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORIES = [setting.name for setting in SETTINGS if setting.is_written_to]


def other(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    """Something else of the same kind."""
    if value is None:
        return 1.5
    if isinstance(value, dict):
        return {**value, "memory": 1000}
    return value + 1 if isinstance(value, int | float) else type(value)(f"{value}x")


def test_a_configuration_survives_a_message(home: Path) -> None:
    """The workers get what control has read."""
    config = config_in(home)
    assert Config.of(config.fields()) == config
    assert msgpack.unpackb(msgpack.packb(config.fields())) == config.fields()


@pytest.mark.parametrize("field", [field.name for field in fields(Config)])
def test_every_field_that_differs_is_a_setting_that_has_changed(home: Path, field: str) -> None:
    """Exactly one, by the name that it has in the files."""
    old = config_in(home)
    new = replace(old, **{field: other(getattr(old, field))})
    found = changes(old, new)
    assert [new.value_of(setting.name) for setting in found] == [getattr(new, field)]
    assert changes(old, old) == []


def test_a_setting_that_the_agent_does_not_use_is_no_change(home: Path) -> None:
    """`language` is checked, but not part of a `Config`."""
    agent = Agent(home)
    running = check(agent.configuration)
    agent.set_shared("language", "de")
    new = check(agent.configuration)
    assert new == running
    assert changes(running, new) == []
    assert "language" not in new.fields()


def test_directories_and_who_the_agent_is_and_sees_need_a_restart() -> None:
    """Files are open, and a lock is held; a host's name and ways are looked at as it starts."""
    assert [setting.name for setting in SETTINGS if setting.needs_restart] == [
        "log_directory", "cache_directory", "daemon_directory", "system_daemon_directory",
        "hostname", "procfs_path", "sysfs_path", "rootfs_path",
    ]  # fmt: skip
    assert DIRECTORIES == [
        "log_directory", "cache_directory", "daemon_directory", "system_daemon_directory",
    ]  # fmt: skip


def test_another_name_of_the_host_is_refused(home: Path) -> None:
    """It would begin every chart anew in the middle of a run."""
    directory = Agent(home).configuration
    running = replace(check(directory), hostname="web1")
    with pytest.raises(ConfigError) as caught:
        check_reload(directory, running)
    assert caught.value.problems == (
        f"{directory}/{AGENT_FILE}: {PROGRAM}: hostname: not set; expected 'web1', "
        f"as in the running agent: a change needs a restart",
    )


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_changed_directory_is_refused_and_not_made(home: Path, name: str) -> None:
    """The line names file, setting, the new value and the one in force."""
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


def test_a_bad_file_is_refused_with_its_own_lines(home: Path) -> None:
    """And with nothing else."""
    agent = Agent(home)
    running = check(agent.configuration)
    agent.write(AGENT_FILE, "nothing: here\n")
    with pytest.raises(ConfigError) as anew:
        check_reload(agent.configuration, running)
    with pytest.raises(ConfigError) as at_start:
        check(agent.configuration)
    assert anew.value.problems == at_start.value.problems
