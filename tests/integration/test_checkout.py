"""A checkout that is run with another environment than its own .venv, or without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli.verbs import program_verbs
from tests.integration.conftest import NOT_SOURCES
from tests.support.agent import NAME, ROOT
from tests.support.supervised import Supervised
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.server import PattooServer

BIN = Path(sys.executable).parent


@pytest.fixture
def checkout(home: Path) -> Path:
    """A copy of the sources without an environment, three directories below a public one."""
    path = home / "public" / "a" / "checkout"
    shutil.copytree(ROOT, path, ignore=shutil.ignore_patterns(*NOT_SOURCES, "tests", "docs"))
    return path


def without_packages(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the checkout by a Python that has the standard library only (-S)."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout)}
    return subprocess.run(
        [sys.executable, "-S", *words],
        env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize("verb", [verb.name for verb in program_verbs()])
def test_a_fresh_clone_says_in_one_line_what_to_install(checkout: Path, verb: str) -> None:
    """All missing packages at once, this Python, and the command; never a traceback."""
    done = without_packages(checkout, str(checkout / "bin" / f"{NAME}.py"), verb)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"{NAME}: error: msgpack, psutil, PyYAML, requests, rich, ")
    assert (
        f"are not installed for {sys.executable}; expected after 'make -C {checkout} run'" in line
    )
    assert line.endswith(f"or '{sys.executable} -m pip install {checkout}'")


@pytest.mark.parametrize("module", ["pattoo_mp", "pattoo_mp.receiver", "pattoo_mp.setup"])
def test_a_module_without_its_packages_says_so_in_one_line(checkout: Path, module: str) -> None:
    """`python -m` is as the commands."""
    done = without_packages(checkout, "-m", module)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert " not installed" in line
    assert "expected after" in line


def test_each_command_without_its_packages_says_so_in_one_line(checkout: Path) -> None:
    """As pip makes the commands: by the functions that pyproject.toml names."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    for command, place in project["scripts"].items():
        module, function = place.split(":")
        script = f"import sys; from {module} import {function}; sys.exit({function}())"
        done = without_packages(checkout, "-c", script)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert line.startswith(f"{command}: error: ")
        assert "not installed" in line
        assert "expected after" in line


@pytest.mark.parametrize("module", ["pattoo_mp.receiver", "pattoo_mp.setup"])
@pytest.mark.parametrize("words", [("--bogus",), ("status", "more")])
def test_each_command_reports_bad_usage_in_one_line(module: str, words: tuple[str, ...]) -> None:
    """The usage is in --help."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"usage: {module.replace('.', '_')}")
    assert line.endswith("; see --help")


def test_a_checkout_runs_under_supervisord_with_the_environment_of_path(
    checkout: Path, home: Path, server: PattooServer
) -> None:
    """The environment is not .venv. Programs of others in directories above are never run."""
    witness = home / "trapped"
    for above in (checkout.parent, checkout.parent.parent, home):
        for name in ("python3", "python", "env", "sh", NAME, f"{NAME}.py"):
            trap = above / "bin" / name
            trap.parent.mkdir(exist_ok=True)
            trap.write_text(f'#!/bin/sh\necho "$0" >> "{witness}"\nexit 1\n')
            trap.chmod(0o755)
    agent = Supervised(
        home,
        port=server.port,
        supervisor=checkout / "conf" / "supervisord.conf",
        environment={"PATH": f"{BIN}:{os.environ['PATH']}"},
    )
    with agent.supervised():
        wait_for(server.timestamps, what="a post")
        assert agent.ctl("status", "pattoo_heartbeat").split()[1] == "RUNNING"
    assert not witness.exists(), witness.read_text()


def test_the_launcher_alone_says_what_it_lacks(home: Path) -> None:
    """A copy of it belongs to no agent, and runs none by PATH."""
    copy = home / "agent.sh"
    shutil.copy(ROOT / "conf" / "agent.sh", copy)
    done = subprocess.run(
        ["/bin/sh", copy, "--status"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"{NAME}: error: {copy}: no agent belongs to it; expected it in conf of a checkout or in "
        "share/pattoo_mp/conf of an installation\n"
    )
