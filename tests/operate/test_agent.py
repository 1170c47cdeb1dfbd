"""Looking for an agent's supervisor without permission."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.util.files import path_permissions
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unreadable_supervisor_note_is_an_error_that_names_its_owner(home: Path) -> None:
    """Without the supervisor a stop would be undone."""
    home.chmod(0o755)
    note = paths.supervisor_file(home)
    note.parent.mkdir(mode=0o700 if os.geteuid() == 0 else 0o000)

    def error() -> str:
        with pytest.raises(PattooError) as caught:
            Agent(home).supervisor(1)
        return str(caught.value)

    owner = as_nobody(lambda: path_permissions(note))
    assert as_nobody(error) == f"{note}: Permission denied{owner}; expected its user or root"
