"""The built wheel, installed once for all tests that need it."""

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


#: What a checkout holds beside the sources.
NOT_SOURCES = (
    ".git", ".venv*", ".run", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist", "_build",
)  # fmt: skip


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """An environment with the wheel that is built from the sdist, and nothing of the checkout.

    It is where every user can reach it, as an installation by root is.
    """
    with tempfile.TemporaryDirectory(prefix="pmp-wheel-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        work.chmod(0o755)
        yield _installed(work)


def _installed(work: Path) -> Path:
    # Of a copy: a build writes beside its sources, where another test process may build, too.
    # Links stay links: those of a host in tests/data may lead nowhere.
    ignore = shutil.ignore_patterns(*NOT_SOURCES)
    shutil.copytree(ROOT, work / "source", symlinks=True, ignore=ignore)
    # `build` makes the sdist, unpacks it, and makes the wheel of that: both hold all they need.
    run(sys.executable, "-m", "build", "--outdir", work, work / "source")
    (wheel,) = work.glob("*.whl")
    environment = work / "venv"
    venv.create(environment, with_pip=True)
    run(environment / "bin" / "pip", "install", "--quiet", wheel)
    return environment
