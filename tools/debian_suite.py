"""Run the test suite with Debian's own Python and its packages: `make test-debian`.

    python3 -m tools.debian_suite [PYTEST'S ARGUMENTS]

It needs Debian's packages that the agents' package depends on, recommends and suggests. The tests run in a copy of the
tree, since a checkout's programs run with the Python of its .venv. There .venv shows Debian's packages, and from
PyPI it gets only the tools of the tests. What these bring along of the same libraries is removed again, and before
the tests it is checked where each library comes from.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tools.packages import ROOT, copy_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON: Final = "/usr/bin/python3"
_DIST_PACKAGES: Final = "/usr/lib/python3/dist-packages"
#: The libraries by their modules, with Debian's packages of them.
LIBRARIES: Final = {
    "flask": "python3-flask",
    "gnupg": "python3-gnupg",
    "msgpack": "python3-msgpack",
    "prometheus_client": "python3-prometheus-client",
    "psutil": "python3-psutil",
    "requests": "python3-requests",
    "rich": "python3-rich",
    "setproctitle": "python3-setproctitle",
    "snappy": "python3-snappy",
    "supervisor": "supervisor",
    "urllib3": "python3-urllib3",
    "waitress": "python3-waitress",
    "werkzeug": "python3-werkzeug",
    "yaml": "python3-yaml",
}
#: What the same libraries are called on PyPI.
_ON_PYPI: Final = (
    "Flask", "Werkzeug", "PyYAML", "msgpack", "prometheus_client", "psutil", "python-gnupg", "python-snappy",
    "requests", "rich", "setproctitle", "supervisor", "urllib3", "waitress",
)  # fmt: skip
#: Of the `dev` extra, what the suite itself does not import.
_NOT_FOR_TESTS: Final = ("pattoo_mp", "PattooShared", "mypy", "ruff", "import-linter", "types-")
#: Tests of an installation by pip, and with the original's library, which pins others.
_BY_PIP: Final = (
    "tests/contract", "tests/integration/test_first_hour_page.py", "tests/integration/test_first_run.py",
    "tests/integration/test_packaging.py",
    "tests/upload/pattoo/test_legacy.py",
)  # fmt: skip
_WHERE: Final = (
    "import importlib, sys\n"
    "for name in sys.argv[1:]:\n"
    "    module = importlib.import_module(name)\n"
    "    print(name, getattr(module, '__file__', None))"
)


def main(arguments: Sequence[str]) -> int:
    """Run the suite; return the exit status of pytest, or 1 if it cannot run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy is removed, too
    with TemporaryDirectory(prefix="pattoo-mp-debian-") as directory:
        Path(directory).chmod(0o755)  # tests run programs as other users
        tree = Path(directory) / "tree"
        copy_sources(ROOT, tree)
        for name in (
            "pyproject.toml",
            "Makefile",
            "tests",
            "tools",
            ".ci",
            ".importlinter",
            "MANIFEST.in",
            "setup.py",
        ):
            _copy_missing(name, tree)
        python = _environment(tree)
        if problem := _wrong_libraries(python):
            print(f"tools.debian_suite: error: {problem}", file=sys.stderr)
            return 1
        leave_out = [f"--ignore={path}" for path in _BY_PIP]
        command = [python, "-m", "pytest", *leave_out, *arguments]
        return _run_to_the_end(command, tree)


def _run_to_the_end(command: list[str], tree: Path) -> int:
    """Run pytest. If this process is told to end, pytest ends first, in order: it has agents running."""
    process = subprocess.Popen(command, cwd=tree)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _copy_missing(name: str, tree: Path) -> None:
    """Copy what a package is not made of, but tests need, where git did not name it."""
    if (tree / name).exists() or not (ROOT / name).exists():
        return
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, tree / name, symlinks=True)
    else:
        shutil.copy2(ROOT / name, tree / name)


def _environment(tree: Path) -> str:
    """Make the copy's .venv, and return its Python."""
    print("Making an environment with Debian's packages and the tools of the tests", flush=True)
    venv = tree / ".venv"
    subprocess.run([PYTHON, "-m", "venv", "--system-site-packages", venv], check=True)
    extras = tomllib.loads((tree / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    tools = [
        name for name in (*extras["dev"], *extras["docs"]) if not name.startswith(_NOT_FOR_TESTS)
    ]
    pip = [str(venv / "bin/pip"), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *tools], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--editable", tree], check=True)
    with_ours = [
        str(venv / "bin/pip"),
        "list",
        "--local",
        "--format=freeze",
        "--disable-pip-version-check",
    ]
    listed = subprocess.run(with_ours, check=True, capture_output=True, text=True).stdout
    local = {line.partition("=")[0].lower().replace("_", "-") for line in listed.splitlines()}
    twice = [name for name in _ON_PYPI if name.lower().replace("_", "-") in local]
    if twice:
        subprocess.run([*pip, "uninstall", "--yes", *twice], check=True)
    for name in ("supervisord", "supervisorctl"):
        if (there := shutil.which(name, path=os.defpath)) and not (venv / "bin" / name).exists():
            (venv / "bin" / name).symlink_to(there)
    return str(venv / "bin/python")


def _wrong_libraries(python: str) -> str:
    """One line about libraries that are not Debian's; empty if all are."""
    wrong, versions = [], []
    for name, package in LIBRARIES.items():
        done = subprocess.run(
            [python, "-c", _WHERE, name], capture_output=True, text=True, check=False
        )
        where = done.stdout.strip().partition(" ")[2]
        if not where.startswith(_DIST_PACKAGES):
            wrong.append(f"{name} is {where or 'missing'} (apt-get install {package})")
            continue
        command = ["dpkg-query", "--show", "--showformat=${Version}", package]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        versions.append(f"{name} {shown}")
    print(f"Debian's: {', '.join(versions)}", flush=True)
    return f"expected in {_DIST_PACKAGES}: {'; '.join(wrong)}" if wrong else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
