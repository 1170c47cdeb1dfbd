"""`pattoo_mp_setup` from an installed wheel on a simulated host, and the agent as its user."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.setup.host import closed_parent
from tests.support.agent import NAME
from tests.support.commands import run

if TYPE_CHECKING:
    from tests.support.server import PattooServer

pytestmark = pytest.mark.timeout(300)

#: Private mounts and processes, which end with the shell.
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
#: A simulated host, as far as these tests need one.
OWN_HOST = """
set -e
cp -a /etc "$HOME_OF_TEST/etc"
rm -rf "$HOME_OF_TEST/etc/pattoo"
mount --bind "$HOME_OF_TEST/etc" /etc
userdel pattoo 2>&1 || true
# A group of that name may be there already.
groupadd --system pattoo
for directory in /var/log /var/cache /var/lib /mnt; do mount -t tmpfs -o mode=755 tmpfs $directory; done
# Only root may read the mount of this disk.
mkdir -m 700 /mnt/roots
mkdir /mnt/roots/disk
mount --bind "$HOME_OF_TEST" /mnt/roots/disk
# Another user cannot run a Python in a private home directory; so this home is opened.
if [ -n "$BARRIER" ]; then
    mkdir /mnt/python
    mount --bind "$PYTHON" /mnt/python
    mount -t tmpfs -o mode=755 tmpfs "$BARRIER"
    mkdir -p "$PYTHON"
    mount --bind /mnt/python "$PYTHON"
fi
"""
#: Sets up the host, runs an agent as the user pattoo, and uninstalls everything.
LIFE = """
pattoo_mp_setup install
sed -i "s/#ip_address: .*/ip_address: 127.0.0.1/; s/#ip_bind_port: .*/ip_bind_port: $PORT/" /etc/pattoo/pattoo.yaml
pattoo_mp_setup install
as_pattoo() { setpriv --reuid pattoo --regid pattoo --init-groups "$@"; }
as_pattoo pattoo_agent_os_autonomousd --check
as_pattoo pattoo_agent_os_autonomousd --start
as_pattoo pattoo_agent_os_autonomousd --status
pattoo_mp_setup uninstall 2>&1 && exit 9 || true
as_pattoo pattoo_agent_os_autonomousd --stop
export PATTOO_CONFIGDIR=/etc/pattoo
for as in as_pattoo env; do  # env: root
    $as supervisord -c "$SHARED/supervisord.conf"
    until as_pattoo supervisorctl -c /etc/pattoo/supervisord.local.conf status | grep -c RUNNING | grep 2; do sleep 0.2; done
    as_pattoo supervisorctl -c /etc/pattoo/supervisord.local.conf shutdown
    while [ -e /var/lib/pattoo/supervisord.pid ]; do sleep 0.2; done
done
stat --format='%U %a %n' /var/log/pattoo/supervisord.log
stat --format='%U %a %n' /var/lib/pattoo /var/lib/pattoo/agent_id/*
pattoo_mp_setup uninstall --purge
getent passwd pattoo || echo no user
ls /etc/pattoo /var/lib/pattoo 2>&1 || true
"""


def environment(installed: Path) -> dict[str, str]:
    """An environment with the installation first in PATH."""
    return {"PATH": f"{installed / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8"}


def test_setup_below_another_root_writes_the_shipped_files(home: Path, installed: Path) -> None:
    """The files are found in the installation, and the unit finds the program there."""
    (home / "run/systemd/system").mkdir(parents=True)
    command = installed / "bin" / "pattoo_mp_setup"
    run(command, "install", "--root", home)
    unit = (home / f"etc/systemd/system/{NAME}.service").read_text()
    assert f"Environment=PATH={installed}/bin:" in unit
    again = run(command, "install", "--root", home)
    assert all(line.startswith("keep ") for line in again.splitlines())
    # The agent accepts the configuration that setup wrote. Only root may use the directories in it.
    shared = home / "etc/pattoo/pattoo.yaml"
    shared.write_text(shared.read_text().replace("/var/", f"{home}/var/"))
    configured = {**environment(installed), "PATTOO_CONFIGDIR": str(home / "etc/pattoo")}
    done = subprocess.run(
        [installed / "bin" / NAME, "--check"],
        env=configured, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 2, done.stderr


def test_setup_and_uninstall_on_a_whole_host(
    home: Path, installed: Path, server: PattooServer
) -> None:
    """As root: the user is made, its agent runs, polls arrive, and uninstall leaves nothing."""
    may_unshare = subprocess.run([*UNSHARE, "true"], check=False, capture_output=True)
    if os.geteuid() != 0 or may_unshare.returncode or shutil.which("useradd") is None:
        pytest.skip("only root can make a simulated host, and not everywhere")
    home.chmod(0o755)
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", OWN_HOST + LIFE], capture_output=True, text=True,
        timeout=120, check=False, cwd="/",
        env={
            **environment(installed),
            "HOME_OF_TEST": str(home),
            "PORT": str(server.port),
            "SHARED": str(installed / "share" / "pattoo_mp" / "conf"),
            "PYTHON": sys.base_prefix,
            "BARRIER": str(closed_parent(Path(sys.base_prefix)) or ""),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert "add     pattoo (a user)" in said
    assert "keep    /etc/pattoo/pattoo.yaml (is yours)" in said
    assert f"Daemon is running - {NAME}" in said
    assert any("/mnt/roots/disk" in line and "Permission denied" in line for line in said)
    assert any("the agent is running (process" in line for line in said)
    assert any(re.fullmatch(r"pattoo \d+ /var/log/pattoo/supervisord.log", line) for line in said)
    assert "pattoo 750 /var/lib/pattoo" in said
    assert f"pattoo 600 /var/lib/pattoo/agent_id/{NAME}.agent_id" in said
    assert "remove  pattoo (the user)" in said
    assert "no user" in said
    assert said[-2:] == [
        "ls: cannot access '/etc/pattoo': No such file or directory",
        "ls: cannot access '/var/lib/pattoo': No such file or directory",
    ]
    assert server.timestamps()
