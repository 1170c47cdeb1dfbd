"""Reading the configuration with a time limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.reading import read_within
from pattoo_mp.errors import ConfigError
from tests.support.hanging import file_hangs
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from pathlib import Path


def test_an_inaccessible_directory_is_one_problem(home: Path) -> None:
    """As when it is read in a forked process."""

    def closed() -> str:
        try:
            read_within(home / "etc")
        except ConfigError as error:
            return str(error)
        return "found"

    home.chmod(0o700 if os.geteuid() == 0 else 0o000)
    assert as_nobody(closed).startswith(f"{home}/etc: Permission denied, as ")


def test_hanging_files_are_not_waited_for(home: Path) -> None:
    """The error names the directory and the time limit."""
    (home / "pattoo.yaml").touch()
    with file_hangs(home / "pattoo.yaml"), pytest.raises(ConfigError) as caught:
        read_within(home, 0.2)
    assert caught.value.problems == (
        f"{home}: no answer within 0.2 s; expected files that can be read",
    )
