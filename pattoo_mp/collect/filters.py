"""What the configuration asks to poll: the families, and which of their devices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.host import OWN, HostPaths
from pattoo_mp.config.families import names_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pattoo_mp.config.values import Command, Config

#: Names whose result is cached. Beyond these, the patterns are matched each time.
_CACHED_NAMES: Final = 4096


@dataclass(frozen=True)
class Filter:
    """Accepts names that match a pattern of `include` and none of `exclude`.

    These are shell patterns as in `fnmatch.fnmatchcase`: `*` matches a `/` too.
    """

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    @cached_property
    def accepts(self) -> Callable[[str], bool]:
        """Whether a device is polled. Results are cached by name, since each poll asks again."""
        included, excluded = _any_of(self.include), _any_of(self.exclude)

        @lru_cache(_CACHED_NAMES)
        def accepts(name: str) -> bool:
            return bool(included.match(name)) and not excluded.match(name)

        return accepts


#: One that wants nothing.
NONE: Final = Filter(())


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    never = r"(?!)"
    return re.compile("|".join(map(translate, patterns)) or never)


@dataclass(frozen=True, slots=True)
class Filters:
    """The families in the order of a poll, and a filter for each kind of device.

    `top` is the number of programs that the family `top_processes` reports. `textfile_directory`
    holds the operator's own metrics, if any, and `commands` are the programs that print some. `paths` are those of the host's /proc, /sys and root.
    `without_device` selects types of file systems that are on no device; `filesystems` does not.
    """

    families: tuple[str, ...]
    mounts: Filter
    filesystems: Filter
    disks: Filter
    interfaces: Filter
    temperatures: Filter
    top: int
    textfile_directory: Path | None = None
    commands: tuple[Command, ...] = ()
    paths: HostPaths = OWN
    without_device: Filter = NONE

    @classmethod
    def of(cls, config: Config) -> Filters:
        """Return the filters that `config` asks for."""
        return cls(
            families=names_on(config.families, config.families_off),
            mounts=Filter(config.mounts_include, config.mounts_exclude),
            filesystems=Filter(config.filesystems_include, config.filesystems_exclude),
            disks=Filter(config.disks_include, config.disks_exclude),
            interfaces=Filter(config.interfaces_include, config.interfaces_exclude),
            temperatures=Filter(config.temperatures_include, config.temperatures_exclude),
            top=config.top_processes,
            textfile_directory=config.textfile_directory,
            commands=config.commands,
            paths=HostPaths.of(config),
            without_device=Filter(config.filesystems_without_device, config.filesystems_exclude),
        )

    def accepts_mount(self, mountpoint: str, fstype: str) -> bool:
        """Return whether a listed mount is polled."""
        return self.mounts.accepts(mountpoint) and (
            self.filesystems.accepts(fstype) or self.without_device.accepts(fstype)
        )
