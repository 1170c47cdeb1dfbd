"""A fresh Debian in a temporary directory, with a real systemd as its process 1.

Root makes it with mmdebstrap, from the sources that this machine's apt has, and boots it with
systemd-nspawn, with a network of its own that leads nowhere. It shares nothing else with the host but the
kernel. Whatever happens to this process, its processes end with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What a trial calls, and Debian's package of it.
PROGRAMS: Final = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "dh_python3": "dh-python",
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
}
#: So that it boots, and that a host's usual names are known.
_BASE: Final = ("dbus", "procps", "systemd", "systemd-sysv")
_SOURCES: Final = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
#: Only sources of Debian itself: a fresh system has no keys of others.
_KEY: Final = "debian-archive-keyring"
_BOOT_S: Final = 120
_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class TrialError(Exception):
    """What was expected did not happen."""


def sources() -> list[Path]:
    """The files of this machine's apt that name Debian itself. Raises `TrialError` if there is none."""
    files = [
        _SOURCES[0],
        *sorted(_SOURCES[1].glob("*.list")),
        *sorted(_SOURCES[1].glob("*.sources")),
    ]
    found = [file for file in files if file.is_file() and _KEY in file.read_text(encoding="utf-8")]
    if not found:
        raise TrialError(f"{_SOURCES[1]}: no file names {_KEY}; expected this machine's Debian")
    return found


def codename() -> str:
    """The name of this machine's release of Debian."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"].strip('"')


@contextmanager
def fresh_root(packages: Sequence[str]) -> Iterator[Path]:
    """Make a root file system with these packages and those that they need; remove it at the end."""
    with TemporaryDirectory(prefix="pattoo-mp-root-") as directory:
        Path(directory).chmod(0o755)  # users of the root pass through it
        root = Path(directory) / "root"
        include = ",".join((*_BASE, *packages))
        subprocess.run(
            [*_ENDING_WITH_US, *_APART, "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root",
             f"--include={include}", "--aptopt=Acquire::Retries \"3\"", codename(), root, *sources()],
            check=True, stdin=subprocess.DEVNULL, timeout=600,
        )  # fmt: skip
        (root / "etc/hostname").write_text("trial\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 trial\n")
        yield root


#: A process that is killed with the one that started it, and one that takes all its children along.
_ENDING_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
_APART: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


class Machine:
    """A booted root."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        self._init = init

    def run(self, *command: str | Path, check: bool = True, seconds: float = 120) -> str:
        """Run a command in it; return what it prints. Raises `TrialError` if it fails, unless told not to."""
        done = subprocess.run(
            [*_ENDING_WITH_US, "nsenter", "--target", str(self._init), "--all", "--wdns=/root", *command],
            env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise TrialError(
                f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot the root; end all its processes at the end."""
    has_systemd = Path("/run/systemd/system").is_dir()
    flags = ["--quiet", "--boot", "--register=no", "--private-network", "--console=pipe"]
    if not has_systemd:
        flags.append("--keep-unit")  # nobody is there to make one
    with (root.parent / "console").open("wb") as console:
        process = subprocess.Popen(
            [*_ENDING_WITH_US, "systemd-nspawn", *flags, f"--directory={root}"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
        )  # fmt: skip
        try:
            machine = Machine(root, _init_of(process))
            _wait_until_up(machine, process)
            yield machine
        finally:
            _end(process)
            if not has_systemd:
                _remove_groups()


def _init_of(process: subprocess.Popen[bytes]) -> int:
    """The process 1 of the machine: nspawn's child."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + _BOOT_S
    while time.monotonic() < until and process.poll() is None:
        for child in children.read_text().split():
            with suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        time.sleep(0.1)
    raise TrialError("systemd-nspawn did not start a systemd")


def _wait_until_up(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _BOOT_S
    while time.monotonic() < until and process.poll() is None:
        if machine.run("systemctl", "is-system-running", check=False).strip() in {
            "running",
            "degraded",
        }:
            return
        time.sleep(0.2)
    raise TrialError("the systemd of the fresh Debian did not come up")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)  # a shutdown in order
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove_groups() -> None:
    """Remove the control groups that systemd-nspawn makes below ours, and leaves."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, ours = line.split(":", 2)
        mounted = "unified" if not kind else kind.removeprefix("name=")
        for base in (Path("/sys/fs/cgroup") / mounted, Path("/sys/fs/cgroup")):
            for name in ("payload", "supervisor"):
                group = Path(f"{base}{ours}") / name
                for directory, _, _ in os.walk(group, topdown=False):
                    with suppress(OSError):  # of another machine, which runs
                        Path(directory).rmdir()


def snapshot(root: Path) -> dict[str, str]:
    """Every file of a root, by its path: kind, mode, owner, and the content below /etc."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory) / name
            with suppress(FileNotFoundError):
                found[f"/{path.relative_to(root)}"] = _facts(path, root)
    return found


def _facts(path: Path, root: Path) -> str:
    there = path.lstat()
    facts = f"{stat.filemode(there.st_mode)} {there.st_uid}:{there.st_gid}"
    if stat.S_ISLNK(there.st_mode):
        return f"{facts} -> {path.readlink()}"
    if stat.S_ISREG(there.st_mode) and path.is_relative_to(root / "etc"):
        return f"{facts} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return facts


def missing_programs() -> list[str]:
    """Debian's packages of what a trial calls, as far as they are missing."""
    return [package for name, package in PROGRAMS.items() if shutil.which(name) is None]
