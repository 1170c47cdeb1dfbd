"""How much a reader has to open: files and functions on the way of a poll, of SIGTERM, of `--status`.

    python -m tools.reading_path

Runs the real agent from this checkout against a receiver on loopback, with a profile function in each of
its processes that notes which functions of the package are called in which phase. Beside that it counts the
modules that are short, and those with exactly one importer.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pattoo_mp"
#: Modules with fewer lines than this count as short.
SHORT_LINES = 50

#: Loaded by every Python process of the run: notes each function of the package once for each phase.
PROFILE = """
import mmap, os, sys, threading
HERE = os.environ["READING_PATH"]
PACKAGE = os.environ["READING_PACKAGE"] + os.sep
seen = set()
# The process that reads the configuration closes all descriptors: a map needs none.
with open(HERE + "/phase", "rb") as file:
    now = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
def note(frame, event, arg):
    if event == "call":
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE) and code.co_name != "<module>":
            phase = now[:8].strip()
            if (phase, code) not in seen:
                seen.add((phase, code))
                line = f"{phase.decode()} {code.co_filename[len(PACKAGE):]} {code.co_qualname}\\n"
                out = os.open(HERE + "/calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(out, line.encode())
                os.close(out)
threading.setprofile(note)
sys.setprofile(note)
"""


def main() -> int:
    """Run the agent, and print the figures."""
    modules = list(_modules())
    short = sum(lines < SHORT_LINES for _, lines in modules)
    importers = _importers()
    single = sum(len(who) == 1 for who in importers.values())
    print(
        f"modules: {len(modules)}, {short} of fewer than {SHORT_LINES} lines, {single} with one importer"
    )
    with tempfile.TemporaryDirectory() as directory:
        calls = _record(Path(directory))
    for phase in ("poll", "status", "stop"):
        found = {(file, name) for when, file, name in calls if when == phase}
        files = Counter(file for file, _ in found)
        print(f"{phase}: {len(files)} files, {len(found)} functions")
    return 0


def _modules() -> Iterator[tuple[Path, int]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if path.name != "__init__.py" or lines > 1:
            yield path, lines


def _importers() -> dict[str, set[str]]:
    """The modules of the package, and which modules of it import each."""
    names = {_name(path): path for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, path in names.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    target = whole if whole in names else node.module
                    if target in names and target != name:
                        found[target].add(name)
    return found


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _record(directory: Path) -> list[tuple[str, str, str]]:
    """The calls of a run: its phase, the file and the function."""
    (directory / "sitecustomize.py").write_text(PROFILE, encoding="utf-8")
    port = free_port()
    configuration = directory / "etc"
    configuration.mkdir()
    (configuration / "pattoo.yaml").write_text(
        f"pattoo:\n  log_directory: {directory}\n  log_level: info\n  cache_directory: {directory}\n"
        f"  daemon_directory: {directory}\n  system_daemon_directory: {directory}\n  language: en\n"
        f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {port}\n",
        encoding="utf-8",
    )
    (configuration / "pattoo_agent_os_autonomousd.yaml").write_text(
        "pattoo_agent_os_autonomousd:\n  polling_interval: 1\n", encoding="utf-8"
    )
    environment = {
        **os.environ,
        "PATTOO_CONFIGDIR": str(configuration),
        "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
        "READING_PATH": str(directory),
        "READING_PACKAGE": str(PACKAGE),
    }
    _phase(directory, "start")
    plain = {**os.environ, "PYTHONPATH": str(ROOT)}
    store = str(directory / "store.sqlite")
    receiver = subprocess.Popen(
        [sys.executable, "-m", "pattoo_mp.receiver", "--port", str(port), "--database", store],
        env=plain, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    command = [sys.executable, "-c", "from pattoo_mp.cli import main; raise SystemExit(main())"]
    agent = subprocess.Popen([*command, "--foreground"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: _delivered(command, environment, directory) > 1)
        _phase(directory, "poll")
        time.sleep(5)
        _phase(directory, "status")
        subprocess.run(
            [*command, "--status"], env=environment, stdout=subprocess.DEVNULL, check=False
        )
        _phase(directory, "stop")
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
    finally:
        agent.kill()
        receiver.kill()
        agent.wait()
        receiver.wait()
    text = (directory / "calls").read_text(encoding="utf-8")
    return [(phase, file, name) for phase, file, name in map(str.split, text.splitlines())]


def _phase(directory: Path, name: str) -> None:
    descriptor = os.open(directory / "phase", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, f"{name:<8}".encode())  # in place: processes have it mapped
    os.close(descriptor)


def _delivered(command: list[str], environment: dict[str, str], directory: Path) -> int:
    plain = {**environment, "PYTHONPATH": str(ROOT), "READING_PATH": str(directory)}
    done = subprocess.run(
        [*command, "--status"], env=plain, capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        if line.split()[:1] == ["Delivered"]:
            return int(line.split()[1])
    return 0


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("no poll was delivered within 60 s")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
