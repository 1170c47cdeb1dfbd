"""The agent in a container, which reports its host."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import container
from tests.support.agent import NAME, Agent

#: Polls until a disk is there that the host mounts meanwhile; prints the last poll, and what was left out.
PROGRAM = """
import json, socket, sys
from pathlib import Path
from pattoo_mp.spool.store import Spool
from tests.support.agent import NAME, Agent
from tests.support.waiting import wait_for

work = Path(sys.argv[1])
agent = Agent(work / "home")
agent.write(f"{NAME}.yaml", f'''{NAME}:
  polling_interval: 1
  families: [inodes, network_links, sockets, users]
  hostname: host.example.org
  procfs_path: /host/proc
  sysfs_path: /host/sys
  rootfs_path: /host
  mounts_include: [/, '{work}/*']
''')
agent.start()
try:
    (work / "ready").touch()
    wait_for(lambda: f"mountpoint {work}/later" in agent.log, what="the disk that is mounted later")
    left_out = agent.status()["workers"]["collector"]["troubles"]
    agent.stop()
finally:
    agent.end()
spool = Spool(agent.spool)
*_, last = spool.oldest(10_000)
layout = spool.layout(last.poll.layout_id)
spool.close()
points = [(s.key, dict(s.metadata), v) for s, v in zip(layout.series, last.poll.values(), strict=True)]
print(json.dumps({"points": points, "left_out": left_out, "origin": layout.origin.hostname}))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the container's agent said of its host."""
    if why := container.possible():
        pytest.skip(f"no container can be made here: {why}")
    with tempfile.TemporaryDirectory(prefix="pmp-") as directory:
        work = Path(directory).resolve()
        done = container.run_contained(work, PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "work": work}


def devices(told: dict[str, Any], key: str, label: str) -> dict[str, Any]:
    """The values of a key, by the label of their device."""
    return {metadata[label]: value for name, metadata, value in told["points"] if name == key}


def test_mounts_are_the_hosts_under_the_hosts_names(told: dict[str, Any]) -> None:
    """With their sizes; also a mount that came after the container, and none of the container's own."""
    work: Path = told["work"]
    sizes = devices(told, "disk_partition_disk_usage_total", "disk_partition_mountpoint")
    assert sizes.keys() >= {f"{work}/disk", f"{work}/later"}
    assert not any(point.startswith(("/host", f"{work}/root")) for point in sizes)
    assert 0 < sizes[f"{work}/disk"] == sizes[f"{work}/later"] < 8 << 20
    assert devices(told, "inodes_total", "inodes_mountpoint").keys() == sizes.keys()


def test_interfaces_are_the_hosts(told: dict[str, Any]) -> None:
    """The container has none but a loopback device that is down."""
    assert devices(told, "network_io_bytes_recv", "network_io_interface").keys() == {"lo", "host0"}
    up = devices(told, "network_link_up", "network_link_interface")
    assert (up["lo"], up["host0"]) == (1, 0)


def test_processes_are_the_hosts(told: dict[str, Any]) -> None:
    """Those outside the container too: the host's shell, and who made the container."""
    (count,) = [value for key, _, value in told["points"] if key == "process_count"]
    assert count >= 6


def test_the_host_has_the_name_that_is_configured(told: dict[str, Any]) -> None:
    """Not the container's, in what names each series."""
    assert told["origin"] == "host.example.org"
    assert {metadata["hostname"] for _, metadata, _ in told["points"]} == {"host.example.org"}


def test_what_would_be_the_containers_is_left_out(told: dict[str, Any]) -> None:
    """And said, once."""
    assert told["left_out"]["users"].endswith("only sees logins below the agent's own root")


def test_a_look_at_the_host_goes_by_the_same_paths(home: Path) -> None:
    """--once and --doctor, on a host that is played by files."""
    (home / "proc" / "1" / "net").mkdir(parents=True)
    (home / "proc" / "77").mkdir()
    (home / "proc" / "1" / "net" / "dev").write_text(
        "a\nb\n  wan0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    )
    agent = Agent(home)
    agent.write(
        f"{NAME}.yaml",
        f"{NAME}:\n  hostname: played\n  procfs_path: {home}/proc\n  interfaces_exclude: [wan1]\n",
    )
    seen = json.loads(agent.run("--once", "--json").stdout)
    families = {family["name"]: family for family in seen["families"]}
    assert seen["host"]["hostname"] == "played"
    assert {s["labels"]["network_io_interface"] for s in families["network_io"]["series"]} == {
        "wan0"
    }
    assert [s["value"] for s in families["system.processes"]["series"]] == [2]
    assert str(home) in families["memory"]["left_out"]["memory"]
    doctor = agent.run("--doctor").stdout
    assert "'wan1' matches nothing on this host" in doctor
    assert re.search(r"host name +played\n", doctor)
