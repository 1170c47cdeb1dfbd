"""A configuration on a file system that hangs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import load
from pattoo_mp.errors import ConfigError
from tests.support.hanging import file_hangs
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_below_one_that_is_closed_to_us_is_told(home: Path) -> None:
    """In one line, as by a process that goes away."""

    def closed() -> str:
        try:
            load.read_within(home / "etc")
        except ConfigError as error:
            return str(error)
        return "found"

    home.chmod(0o700 if os.geteuid() == 0 else 0o000)
    assert as_nobody(closed).startswith(f"{home}/etc: Permission denied, as ")


def test_files_that_hang_are_not_waited_for(home: Path) -> None:
    """One line says which."""
    (home / "pattoo.yaml").touch()
    with file_hangs(home / "pattoo.yaml"), pytest.raises(ConfigError) as caught:
        load.read_within(home, 0.2)
    assert caught.value.problems == (
        f"{home}: no answer within 0.2 s; expected files that can be read",
    )
