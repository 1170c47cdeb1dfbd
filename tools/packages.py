"""Build the packages: `python3 tools/packages.py deb`, or `rpm`.

It needs no environment, only the distribution's tools. It builds in a copy, so that a checkout stays as it
is, as any user.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
#: Where the packages go.
DIST: Final = ROOT / "dist"
#: What is needed of a source tree without git: of a distribution by pip, for example.
SOURCES: Final = (
    "bin", "completion", "conf", "debian", "docs", "packaging", "pattoo_mp", "CHANGELOG.md", "LICENSE", "README.md",
)  # fmt: skip
#: The programs that a build calls, and Debian's packages of them.
NEEDED: Final = {
    "deb": {"dpkg-buildpackage": "dpkg-dev", "dh": "debhelper", "dh_python3": "dh-python"},
    "rpm": {"rpmbuild": "rpm"},
}


class BuildError(Exception):
    """A package could not be built; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Build; return the exit status."""
    parser = argparse.ArgumentParser(prog="tools/packages.py", description="Build the packages.")
    parser.add_argument("kind", choices=sorted(NEEDED))
    parser.add_argument("--output", type=Path, default=DIST, help="directory of the packages")
    arguments = parser.parse_args(argv)
    try:
        for built in build(arguments.kind, arguments.output):
            print(f"Built {built}")
    except (BuildError, OSError) as error:
        print(f"tools/packages.py: error: {error}", file=sys.stderr)
        return 1
    return 0


def build(kind: str, output: Path, sources: Path = ROOT) -> list[Path]:
    """Build the packages of a kind from a source tree; return their files. Raises `BuildError`."""
    _require_programs(kind)
    with TemporaryDirectory(prefix="pattoo-mp-build-") as directory:
        tree = Path(directory) / "source"
        copy_sources(sources, tree)
        built = {"deb": _build_deb, "rpm": _build_rpm}[kind](tree)
        output.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(file, output)) for file in built]


def copy_sources(sources: Path, to: Path) -> None:
    """Copy what git knows and what is not ignored; without git, what a package is made of."""
    to.mkdir(parents=True)
    for name in _files_of_git(sources) or SOURCES:
        file = sources / name
        if file.is_dir() and not file.is_symlink():
            shutil.copytree(
                file, to / name, symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "_build"),
            )  # fmt: skip
        elif os.path.lexists(file):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, to / name, follow_symlinks=False)


def _files_of_git(sources: Path) -> list[str]:
    if not (sources / ".git").exists() or shutil.which("git") is None:
        return []
    command = ("git", "-c", f"safe.directory={sources}", "-C", str(sources), "ls-files", "-z")
    return _run(*command, "--cached", "--others", "--exclude-standard").split("\0")[:-1]


def _build_deb(tree: Path) -> list[Path]:
    _run("dpkg-buildpackage", "--unsigned-source", "--unsigned-changes", "--build=binary", at=tree)
    return sorted(tree.parent.glob("*.deb"))


def _build_rpm(tree: Path) -> list[Path]:
    text = (tree / "pattoo_mp/__init__.py").read_text(encoding="utf-8")
    version = text.partition('__version__ = "')[2].partition('"')[0]
    top = tree.parent / "rpm"
    _run(
        "rpmbuild", "-bb", "--build-in-place", "--nodeps", f"--define=_topdir {top}", f"--define=pattoo_version {version}",
        "packaging/pattoo-mp.spec", at=tree,
    )  # fmt: skip
    return sorted(top.glob("RPMS/*/*.rpm"))


def _require_programs(kind: str) -> None:
    missing = [
        package for name, package in NEEDED[kind].items() if shutil.which(name) is None
    ]  # fmt: skip
    if missing:
        raise BuildError(
            f"{kind}: a program is missing; expected after: apt-get install {' '.join(missing)}"
        )


def _run(*command: str, at: Path | None = None) -> str:
    """Run a command; return what it prints. Raises `BuildError` with its last lines."""
    done = subprocess.run(
        command, cwd=at, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{command[0]} ended with status {done.returncode}:\n{last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
