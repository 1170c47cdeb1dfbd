"""A configuration on a file system that hangs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli import bounded
from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_files_that_hang_are_not_waited_for(home: Path) -> None:
    """One line says which."""
    os.mkfifo(home / "pattoo.yaml")  # nobody writes, so whoever opens it waits
    with pytest.raises(ConfigError) as caught:
        bounded.look(home, 0.2)
    assert caught.value.problems == (
        f"{home}: no answer within 0.2 s; expected files that can be read",
    )
    (home / "pattoo.yaml").write_text("")  # let it go
