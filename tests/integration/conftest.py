"""The built wheel, installed once for all tests that want it."""

from __future__ import annotations

import shutil
import sys
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import ROOT
from tests.support.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """An environment that holds the wheel, made from the sdist, and nothing of the checkout.

    It lies where every user can reach it, as an installation of root's does.
    """
    work = Path(tempfile.mkdtemp(prefix="pmp-wheel-"))
    work.chmod(0o755)
    # `build` makes the sdist, unpacks it, and makes the wheel of that: both hold all they need.
    run(sys.executable, "-m", "build", "--outdir", work, ROOT)
    (wheel,) = work.glob("*.whl")
    environment = work / "venv"
    venv.create(environment, with_pip=True)
    run(environment / "bin" / "pip", "install", "--quiet", wheel)
    yield environment
    shutil.rmtree(work, ignore_errors=True)
