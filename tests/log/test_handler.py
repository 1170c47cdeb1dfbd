"""What a process does for its log, and when."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import log
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger("pattoo_mp.test")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leave pytest's logging, and this process's signals, as they were."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers, root.level, logging.raiseExceptions
    signals = {number: signal.getsignal(number) for number in log.CHORES}
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, action in signals.items():
        signal.signal(number, action)


def test_set_up_again_goes_on_with_the_new_settings(tmp_path: Path) -> None:
    """What was counted until then is told first, in the old place."""
    log.set_up(log.LogSettings(tmp_path / "old", "info"), "control")
    for _ in range(3):
        _LOG.info("No room.")
    log.set_up(log.LogSettings(tmp_path / "new", "warning", "json"), "control")
    _LOG.info("no line")
    _LOG.warning("a line")
    assert "(the same 2 times in the last" in (tmp_path / "old").read_text()
    assert '"message": "a line"' in (tmp_path / "new").read_text()
    assert "no line" not in (tmp_path / "new").read_text()


def test_set_up_again_with_the_same_settings_forgets_nothing(tmp_path: Path) -> None:
    """A reload: what came before is still the same again, and is counted on."""
    path = tmp_path / "log"
    for _ in range(3):
        log.set_up(log.LogSettings(path), "control")
        _LOG.info("No room.")
    assert len(path.read_text().splitlines()) == 1
    path.rename(tmp_path / "old")
    log.set_up(log.LogSettings(path), "control")
    assert path.exists()


def test_what_could_not_be_written_is_told_after_other_settings_too(tmp_path: Path) -> None:
    """A reload on a full disk."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    for text in ("one", "two"):
        _LOG.info(text)
    log.set_up(log.LogSettings(path, "warning"), "control")
    path.rmdir()
    _LOG.warning("three")
    told, three = path.read_text().splitlines()
    assert told.endswith("2 lines could not be written here: Is a directory.")
    assert three.endswith("three")


def test_an_idle_process_is_woken_no_more_often_than_every_five_seconds(tmp_path: Path) -> None:
    """However many counts are due, and however soon; not at all if there are none."""
    log.set_up(log.LogSettings(tmp_path / "log", repeats_s=(3.0,)), "control")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    for _ in range(2):
        _LOG.info("No room.")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3
    begun = time.monotonic()
    log.tend()
    for text in ("No room.", "No answer.", "No answer."):
        _LOG.info(text)
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert begun + 4.9 - time.monotonic() < left <= 5


def test_at_level_debug_nothing_is_collapsed(tmp_path: Path) -> None:
    """Who asks for everything gets everything."""
    path = tmp_path / "log"
    log.set_up(log.LogSettings(path, "debug"), "control")
    for _ in range(3):
        _LOG.warning("No room.")
    assert len(path.read_text().splitlines()) == 3


def test_a_fork_does_not_tell_what_its_parent_will(tmp_path: Path) -> None:
    """A worker sets up a log of its own; the count is told once."""
    path = tmp_path / "log"
    log.set_up(log.LogSettings(path), "control")
    for _ in range(3):
        _LOG.info("No room.")
    pid = os.fork()
    if pid == 0:
        log.set_up(log.LogSettings(path), "collector")
        logging.shutdown()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(path.read_text().splitlines()) == 1
    logging.getLogger().handlers[0].close()
    assert len(path.read_text().splitlines()) == 2


def test_lost_lines_are_told_though_nothing_else_is_logged(tmp_path: Path) -> None:
    """As soon as it is tended to after the trouble."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    _LOG.info("lost")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    path.rmdir()
    log.tend()
    assert "1 line could not be written here" in wait_for(path.read_text)
