"""What a setting is: its place, its check, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Missing(Enum):
    """The default of a setting that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `check` returns the value to use, or raises `ValueError`; `expected` says what it wants, in
    words that end the sentence "expected …" (`UnfitError` says it of one part). `default` is as it would stand in the file, and goes
    through `check` too. `example` is for a sample where there is no default to show. Of one that
    `hides` a wrong value is never shown: it may be the secret itself, in the place of its file. One
    that `is_written_to` names a directory that the agent makes. One that `needs_restart` cannot be
    changed while an agent runs: its files are open, its lock is held, and its name and its way to
    the host are those that it began with.
    """

    name: str
    section: str
    file: str
    check: Callable[[object], object]
    expected: str
    help: str
    default: object = Missing.REQUIRED
    example: object = None
    hides: bool = False
    is_written_to: bool = False
    needs_restart: bool = False

    @property
    def is_required(self) -> bool:
        """Whether the file must set it."""
        return self.default is Missing.REQUIRED

    @property
    def about(self) -> str:
        """What it is, for who reads about it."""
        return f"{self.help} A change needs a restart." if self.needs_restart else self.help
