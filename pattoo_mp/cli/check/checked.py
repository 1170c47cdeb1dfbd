"""What `--check` found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pattoo_mp.config.host_checks import State
    from pattoo_mp.config.load import Found, Reading
    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.server import Asked


@dataclass(frozen=True, slots=True)
class Checked:
    """The configuration in `directory`.

    With a problem in a file there is no `config`, and neither directory nor server was looked at.
    """

    directory: Path
    reading: Reading
    problems: tuple[str, ...]
    config: Config | None = None
    states: Mapping[Path, State] = field(default_factory=dict)
    server: Asked | None = None
    other_servers: tuple[Asked, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether an agent could start, and post."""
        return not self.problems and bool(self.servers) and not any(s.error for s in self.servers)

    @property
    def servers(self) -> tuple[Asked, ...]:
        """All that were asked, by preference."""
        return () if self.server is None else (self.server, *self.other_servers)

    def in_force(self, found: Found) -> object:
        """A setting's value as the file has it; a default that follows from others, as it is.

        None if it is not set, and has no default.
        """
        if found.given is None and self.config is not None:
            return self.config.effective(found.setting.name)
        return found.given
