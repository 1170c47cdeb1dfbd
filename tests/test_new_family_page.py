"""The documentation page that adds a metric family, followed step by step."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from tests.support.agent import ROOT
from tests.support.walk import is_said, steps

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "new-family.md"
FAMILY = ROOT / "docs" / "examples" / "entropy.py"


def test_the_page_adds_a_family(tmp_path: Path) -> None:
    """With the page's file and diff in a copy of the package, --once prints what the page shows."""
    shutil.copytree(ROOT / "pattoo_mp", tmp_path / "pattoo_mp")
    shutil.copy(FAMILY, tmp_path / "pattoo_mp" / "collect" / "families")
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE.read_text(), re.DOTALL)
    subprocess.run(
        ["git", "apply", "--unidiff-zero", "-"], input=diff, cwd=tmp_path, text=True, check=True
    )
    (shown,) = [lines for command, lines in steps(PAGE) if command.endswith("--once --all")]
    done = subprocess.run(
        [sys.executable, "-c", "from pattoo_mp.cli import main; main(['--once', '--all'])"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert is_said(done.stdout, shown), done.stdout + done.stderr


def test_the_docstring_example_of_its_parser_is_true() -> None:
    """The page's family has one example."""
    specification = spec_from_file_location("entropy", FAMILY)
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    assert doctest.testmod(module) == (0, 1)
