"""A database of an earlier release is taken over when the receiver starts."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.receiver import database
from pattoo_mp.receiver.database import StoreError
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.taking_over import take_over
from pattoo_mp.receiver.upkeep import Limits
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK
from tests.receiver.process import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiver.process import Receiver

#: Three polls of four series, and the golden post.
OLD = Path(__file__).parents[1] / "data" / "receiver_version_0.sqlite"


def test_its_values_are_there_after_the_start(
    tmp_path: Path, make_receiver: Callable[..., Receiver]
) -> None:
    """What it had is answered to queries, and comes not again; the old file is kept."""
    shutil.copy(OLD, tmp_path / "db.sqlite")
    receiver = make_receiver()
    assert "took over 107 values" in receiver.log
    with receiver.reader() as reader:
        assert reader.totals().series == 99
        assert reader.timestamps(AGENT) == (TICK, TICK + 1_000, TICK + 2_000)
        _, (series,) = reader.search("key_3 disk=d3", None, 9, 0)
        assert (series["newest"], series["label"]) == (23.0, "disk=d3")
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200
    with receiver.reader() as reader:
        assert reader.totals().duplicates == 95
    (kept,) = tmp_path.glob("db.sqlite.before-*")
    with closing(sqlite3.connect(kept)) as file:
        assert file.execute("SELECT count(*) FROM datapoints").fetchone() == (107,)
    assert not (tmp_path / "db.sqlite.new").exists()


def test_a_damaged_one_is_refused_in_one_line(tmp_path: Path) -> None:
    """It stays as it was."""
    path = tmp_path / "db.sqlite"
    path.write_bytes(OLD.read_bytes()[:-4096])
    before = path.read_bytes()
    with pytest.raises(StoreError, match="could not be taken over"):
        take_over(path, Limits())
    assert path.read_bytes() == before


def test_a_stop_before_the_new_file_has_its_name_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that found no file would begin a new one, without a word."""
    path = tmp_path / "db.sqlite"
    shutil.copy(OLD, path)

    rename = os.rename

    def stop(source: Path, target: Path) -> None:
        if source.name.endswith(".new"):
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", stop)
        patched.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            take_over(path, Limits())
    assert database.version_of(path) == 0
    take_over(path, Limits())
    with Reader(path) as reader:
        assert reader.totals().series == 99


def test_one_of_a_later_release_is_refused(tmp_path: Path) -> None:
    """The line names both versions."""
    path = tmp_path / "db.sqlite"
    shutil.copy(OLD, path)
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreError, match="version 9, and this release reads version 2"):
        Reader(path)


def test_show_says_that_it_will_be_taken_over(tmp_path: Path) -> None:
    """Reading alone changes nothing."""
    shutil.copy(OLD, tmp_path / "db.sqlite")
    done = command("--database", "db.sqlite", "--show", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "takes over the other when it serves" in done.stderr
