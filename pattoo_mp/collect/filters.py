"""What of the host is polled, as it is configured: which families, and what of their devices."""

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

    from pattoo_mp.config.values import Config

#: A host with more devices of a kind than this asks the patterns each time.
_ANSWERS: Final = 4096


@dataclass(frozen=True)
class Filter:
    """Wants what a pattern of `include` matches and none of `exclude` does.

    Patterns are the shell's, as `fnmatch.fnmatchcase` has them: `*` matches a `/` too.
    """

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    @cached_property
    def accepts(self) -> Callable[[str], bool]:
        """Whether something of this name is polled. Answers are kept: each poll asks again."""
        included, excluded = _any_of(self.include), _any_of(self.exclude)

        @lru_cache(_ANSWERS)
        def accepts(name: str) -> bool:
            return bool(included.match(name)) and not excluded.match(name)

        return accepts


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    never = r"(?!)"
    return re.compile("|".join(map(translate, patterns)) or never)


@dataclass(frozen=True, slots=True)
class Filters:
    """Families in the order in which they are asked, and a filter for each kind of device.

    `top` is how many programs the family `top_processes` is about.
    `textfile_directory` is where the operator's own figures are, if there are any; `paths` say where
    the host is seen.
    """

    families: tuple[str, ...]
    mounts: Filter
    filesystems: Filter
    disks: Filter
    interfaces: Filter
    temperatures: Filter
    top: int
    textfile_directory: Path | None = None
    paths: HostPaths = OWN

    @classmethod
    def of(cls, config: Config) -> Filters:
        """Return what `config` asks for."""
        return cls(
            families=names_on(config.families, config.families_off),
            mounts=Filter(config.mounts_include, config.mounts_exclude),
            filesystems=Filter(config.filesystems_include, config.filesystems_exclude),
            disks=Filter(config.disks_include, config.disks_exclude),
            interfaces=Filter(config.interfaces_include, config.interfaces_exclude),
            temperatures=Filter(config.temperatures_include, config.temperatures_exclude),
            top=config.top_processes,
            textfile_directory=config.textfile_directory,
            paths=HostPaths.of(config),
        )
