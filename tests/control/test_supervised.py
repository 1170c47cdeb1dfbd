"""Who runs a control process, as it notes it for later commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.run_directory import note_supervisor, noted_if_refused
from pattoo_mp.errors import AlreadyRunningError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OURS = {"SUPERVISOR_SERVER_URL": "unix:///x.sock", "SUPERVISOR_PROCESS_NAME": "agent"}
ANOTHER = OURS | {"SUPERVISOR_SERVER_URL": "unix:///y.sock"}


def refused(note: Path, environment: Mapping[str, str]) -> None:
    """Be a control process that cannot run: another one does."""
    with pytest.raises(AlreadyRunningError), noted_if_refused(note, environment):
        raise AlreadyRunningError("as process 7")


def test_a_supervisor_that_is_refused_is_noted_beside_an_agent_that_has_none(home: Path) -> None:
    """A stop has to end its tries."""
    note = home / "run" / "note"
    note_supervisor(note, {})  # started by hand
    refused(note, {})
    assert not note.exists()
    refused(note, OURS)
    assert json.loads(note.read_text()) == {"url": "unix:///x.sock", "name": "agent:agent"}


def test_a_supervisor_that_is_refused_takes_no_others_place(home: Path) -> None:
    """The agent that runs is still found to be the first one's; nor does a start by hand forget it."""
    note = home / "note"
    note_supervisor(note, OURS)
    before = note.read_text()
    for environment in (ANOTHER, {}):
        refused(note, environment)
        assert note.read_text() == before
