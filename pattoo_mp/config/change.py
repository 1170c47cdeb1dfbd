"""A configuration in the place of the one that is in force: what changes, and whether it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config.loading import check, lacking, untrusted
from pattoo_mp.config.settings import SETTINGS
from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.setting import Setting
    from pattoo_mp.config.values import Config


def read_anew(directory: Path, running: Config) -> Config:
    """Read and check the files in `directory` for an agent that runs with `running`.

    Touches nothing. Raises `ConfigError` with the lines of a start, or with one for each setting
    that would need a restart, or for what this host lacks: then none of the others is to be changed.
    A file that a setting names is looked at too.
    """
    new = check(directory)
    problems = [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{_said(new, setting)}; expected {_said(running, setting)}, "
        f"with which the agent runs: a change needs a restart"
        for setting in changes(running, new)
        if setting.needs_restart
    ] + [*lacking(directory, new), *untrusted(directory, new)]
    if problems:
        raise ConfigError(problems)
    return new


def _said(config: Config, setting: Setting) -> str:
    value = config.value_of(setting.name)
    return "not set" if value is None else f"'{value}'"


def changes(old: Config, new: Config) -> list[Setting]:
    """The settings whose values differ, in the order of their declaration."""
    return [
        setting for setting in SETTINGS if old.value_of(setting.name) != new.value_of(setting.name)
    ]
