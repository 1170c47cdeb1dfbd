"""What encrypted mode needs of a host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pattoo_mp.config import host_checks

ROOT = Path(__file__).resolve().parents[2]
#: An interpreter that has nothing installed but what its path names.
LOOK = (
    "from pattoo_mp.config.host_checks import missing_for_encryption as missing; print(missing())"
)
BARE = [sys.executable, "-S", "-c", LOOK]


def missing(*paths: Path) -> str:
    """What is missing where there is this to import."""
    path = os.pathsep.join(map(str, (ROOT, *paths)))
    done = subprocess.run(
        BARE, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_library_that_is_missing_is_named() -> None:
    """With the extra that brings it."""
    assert missing() == "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp"


def test_another_library_of_that_name_is_not_taken_for_it(home: Path) -> None:
    """The package `gnupg` is a fork from before python-gnupg was mended; it is called otherwise."""
    (home / "gnupg").mkdir()
    (home / "gnupg" / "__init__.py").touch()
    assert missing(home).startswith("python-gnupg is not installed")
    (home / "gnupg" / "__init__.py").unlink()
    (home / "gnupg").rmdir()
    (home / "gnupg.py").touch()
    assert "python-gnupg" not in missing(home)


@pytest.mark.parametrize("program", host_checks.PROGRAMS)
def test_a_program_that_is_missing_is_named(
    home: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, where the others are there."""
    for name in host_checks.PROGRAMS:
        (home / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(home))
    assert host_checks.missing_for_encryption() == ""
    (home / program).unlink()
    assert host_checks.missing_for_encryption().startswith(
        f"there is no {program} in PATH; expected "
    )
