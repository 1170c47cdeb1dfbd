"""`--translations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import main
from pattoo_mp.collect.translations import translations

if TYPE_CHECKING:
    import pytest


def test_the_file_is_printed_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """So that it can be sent into one."""
    assert main(["--translations"]) == 0
    assert capsys.readouterr() == (translations(), "")
