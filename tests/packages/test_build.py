"""`make deb`: Debian's tools build both packages, as the user who runs the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import pattoo_mp
from tests.support.commands import run
from tools import packages

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, packages.NEEDED["deb"])),
    reason="needs Debian's debhelper and dh-python",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages, by name."""
    files = packages.build("deb", tmp_path_factory.mktemp("dist"))
    assert len(files) == 2
    return {file.name.partition("_")[0]: file for file in files}


def test_both_packages_are_built_for_every_architecture(built: dict[str, Path]) -> None:
    """The receiver needs the agent's package of the same version."""
    for name in ("pattoo-mp", "pattoo-mp-receiver"):
        fields = run("dpkg-deb", "--field", built[name], "Version", "Architecture")
        assert fields == f"Version: {pattoo_mp.__version__}\nArchitecture: all\n"
    depends = run("dpkg-deb", "--field", built["pattoo-mp-receiver"], "Depends")
    assert f"pattoo-mp (= {pattoo_mp.__version__})" in depends


def test_what_a_person_may_change_is_a_configuration_file_of_dpkg(built: dict[str, Path]) -> None:
    """All of /etc, and nothing else."""
    listing = run("dpkg-deb", "--contents", built["pattoo-mp"])
    in_etc = re.findall(r"^-\S+ .* \.(/etc/\S+)$", listing, re.MULTILINE)
    assert len(in_etc) == 5
    assert run("dpkg-deb", "--info", built["pattoo-mp"], "conffiles").split() == sorted(in_etc)


def test_every_file_is_roots_and_only_root_may_change_it(built: dict[str, Path]) -> None:
    """Whoever built the package."""
    for file in built.values():
        for line in run("dpkg-deb", "--contents", file).splitlines():
            mode, owner = line.split()[:2]
            assert owner == "root/root", line
            assert mode[0] == "l" or "w" not in mode[4:], line


@pytest.mark.skipif(shutil.which("lintian") is None, reason="needs Debian's lintian")
def test_lintian_finds_nothing(built: dict[str, Path], tmp_path: Path) -> None:
    """Neither an error nor a warning."""
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "none", *built.values()],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # it leaves files there
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    assert done.stdout == ""
