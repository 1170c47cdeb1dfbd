"""A simulated host with a container, made with kernel namespaces. Only root can make them.

The host is the first process of new namespaces, with its own disk and network interface. The container
has its own root, processes, mounts and network, and sees the host below /host.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.support.agent import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_APART: Final = ("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child")

#: Arguments: a work directory, and the command that the container runs. When that makes the file
#: `ready`, the host mounts a second disk.
_HOST: Final = """
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount --make-rshared /
ip link add name host0 type bridge
ip link set lo up
mkdir "$1/disk" "$1/later"
for disk in "$1/disk" "$1/later"; do
    truncate --size 8M "$disk.image"
    mkfs.ext4 -q "$disk.image"
done
mount -o loop "$1/disk.image" "$1/disk"
unshare --mount --net --pid --uts --fork --kill-child --propagation slave sh -ec "$CONTAINER" container "$@" &
while [ ! -e "$1/ready" ] && kill -0 $!; do sleep 0.05; done
mount -o loop "$1/later.image" "$1/later"
wait $!
"""
_CONTAINER: Final = """
hostname container
root="$1/root"
mkdir "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/host" "$root/proc"
mount --rbind / "$root/host"
for directory in /*; do
    case "$directory" in /proc | /sys) continue ;; esac
    [ -d "$directory" ] || continue
    mkdir -p "$root$directory"
    mount --bind "$directory" "$root$directory"
done
mount -t proc proc "$root/proc"
shift
exec chroot "$root" "$@"
"""


def possible() -> str:
    """Return why no container can be made here; empty if one can."""
    tried = subprocess.run(
        [*_APART, "sh", "-ec", "mount -t sysfs sysfs /sys && ip link add name host0 type bridge"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return tried.stderr.strip() if tried.returncode else ""


def run_contained(work: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program with the argument `work` in a container on a simulated host."""
    return subprocess.run(
        [*_APART, "sh", "-c", _HOST, "host", work, sys.executable, "-c", program, work],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT), "CONTAINER": _CONTAINER},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
