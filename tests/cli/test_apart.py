"""The configuration, read by a process that goes away."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.cli import apart
from pattoo_mp.config import change, loading
from pattoo_mp.errors import ConfigError
from tests.support.agent import Agent
from tests.support.configs import config_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def files(home: Path) -> Iterator[Path]:
    """The directory of a configuration that is in order; no process is left of who read it."""
    yield Agent(home).configuration
    assert psutil.Process().children() == []


def test_it_is_what_a_reading_of_our_own_finds(files: Path) -> None:
    """Value by value; the directories are made."""
    found = apart.load(files)
    assert found == loading.check(files)
    assert found.log_directory.is_dir()


def test_what_is_wrong_is_told_as_by_a_reading_of_our_own(files: Path) -> None:
    """All lines of it."""
    (files / "pattoo.yaml").write_text("pattoo:\n  log_level: loud\n")
    with pytest.raises(ConfigError) as ours:
        loading.check(files)
    with pytest.raises(ConfigError) as caught:
        apart.load(files)
    assert caught.value.problems == ours.value.problems


def test_what_changes_is_named(files: Path) -> None:
    """And what may not is refused, with the same lines."""
    running = loading.load(files)
    text = (files / "pattoo.yaml").read_text()
    (files / "pattoo.yaml").write_text(text.replace("ip_bind_port: 9", "ip_bind_port: 19"))
    new, changed = apart.read_anew(files, running)
    assert (new.port, changed) == (19, ("ip_bind_port",))
    elsewhere = config_in(files.parent / "elsewhere")
    with pytest.raises(ConfigError) as ours:
        change.read_anew(files, elsewhere)
    with pytest.raises(ConfigError) as caught:
        apart.read_anew(files, elsewhere)
    assert caught.value.problems == ours.value.problems


def test_files_that_hang_are_not_waited_for(files: Path) -> None:
    """One line says which."""
    (files / "pattoo.yaml").unlink()
    os.mkfifo(files / "pattoo.yaml")  # nobody writes, so whoever opens it waits
    with pytest.raises(ConfigError) as caught:
        apart.load(files, within_s=0.2)
    assert caught.value.problems == (
        f"{files}: no answer within 0.2 s; expected files that can be read",
    )


def test_a_reader_that_is_killed_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory is short; an answer that was cut off is none."""
    ours = os.getpid()

    def killed(_: Path) -> None:
        assert os.getpid() != ours
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(loading, "load", killed)
    with pytest.raises(ConfigError, match="the process that read it has ended"):
        apart.load(files)
