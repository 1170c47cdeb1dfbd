"""Test of `--translations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import main
from pattoo_mp.collect.translations import translations

if TYPE_CHECKING:
    import pytest


def test_translations_prints_only_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """So that its output can be redirected to a file."""
    assert main(["--translations"]) == 0
    assert capsys.readouterr() == (translations(), "")
