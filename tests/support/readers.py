"""Readers of the configuration that are no processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.control.reload import Renewal


@dataclass
class FakeReader:
    """One that finds `found` when it is looked at first; None as long as it reads."""

    found: Renewal | None
    problems: Sequence[str] = ()
    due_at: float = float("inf")
    is_over: bool = False

    def fileno(self) -> int:
        """There is nothing to wait for."""
        raise NotImplementedError

    def take(self) -> Renewal | None:
        """What it finds."""
        if self.problems:
            raise ConfigError(self.problems)
        return self.found

    def end(self, wait_s: float) -> None:
        """Note it."""
        assert wait_s <= 1
        self.is_over = True

    def has_ended(self) -> bool:
        """Whether `end` was called."""
        return self.is_over

    def let_go(self) -> None:
        """Nothing is held."""
