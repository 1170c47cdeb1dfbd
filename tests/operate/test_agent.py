"""An agent from outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent, send_signal
from pattoo_mp.util.files import denied, not_ours
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from pathlib import Path


def test_who_may_not_look_for_its_supervisor_is_told_whose_it_is(home: Path) -> None:
    """A stop that did without would be undone."""
    home.chmod(0o755)
    note = paths.supervisor_file(home)
    note.parent.mkdir(mode=0o700 if os.geteuid() == 0 else 0o000)

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            Agent(home).supervisor(1)
        return str(caught.value)

    whose = as_nobody(lambda: denied(note))
    assert as_nobody(complaint) == f"{note}: Permission denied{whose}; expected its user or root"


def test_who_may_not_signal_it_is_told_whose_it_is() -> None:
    """Process 1 is root's."""

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            send_signal(1, 0)  # type: ignore[arg-type]
        return str(caught.value)

    whose = as_nobody(lambda: not_ours(1))
    assert as_nobody(complaint) == (
        f"process 1: we may not signal it{whose}; expected its user or root"
    )
