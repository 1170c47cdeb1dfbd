"""Which packages that the agent needs this Python lacks."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

#: The modules of the packages that pyproject.toml names as dependencies, but for supervisor: no module of
#: ours imports it, and where systemd starts the agent, a distribution's package does without it.
MODULES: Final = {
    "msgpack": "msgpack",
    "psutil": "psutil",
    "yaml": "PyYAML",
    "requests": "requests",
    "rich": "rich",
    "setproctitle": "setproctitle",
}


def missing_packages() -> str:
    """One line that names the packages which are not installed, and says what to do; else empty.

    Nothing is imported, so the control process does not grow by it.
    """
    missing = [
        package for module, package in MODULES.items() if PathFinder.find_spec(module) is None
    ]
    if not missing:
        return ""
    are = "is" if len(missing) == 1 else "are"
    return (
        f"{', '.join(missing)} {are} not installed for {sys.executable}; expected after {_remedy()}"
    )


def _remedy() -> str:
    """The commands that install the packages: in a checkout, or for an installation."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        return f"'{sys.executable} -m pip install {' '.join(MODULES.values())}'"
    install = f"'{sys.executable} -m pip install {root}'"
    has_make = any(os.access(f"{path}/make", os.X_OK) for path in os.get_exec_path())
    return f"'make -C {root} run' or {install}" if has_make else install
