"""The agent in a container that reports its host."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import container
from tests.support.agent import NAME, Agent

#: Polls until the disk appears that the host mounts later. Prints the last poll, and what was left out.
PROGRAM = """
import json, socket, sys
from pathlib import Path
from pattoo_mp.spool.store import Spool
from tests.support.agent import NAME, Agent
from tests.support.spools import AMPLE, OUTPUT, open_spool
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
spool = open_spool(agent.spool, AMPLE)
*_, last = spool.oldest(OUTPUT, 10_000)
layout = spool.layout(last.poll.layout_id)
spool.close()
points = [(s.key, dict(s.metadata), v) for s, v in zip(layout.series, last.poll.values(), strict=True)]
print(json.dumps({"points": points, "left_out": left_out, "origin": layout.origin.hostname}))
"""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The report of the container's agent."""
    if why := container.possible():
        pytest.skip(f"no container can be made here: {why}")
    with tempfile.TemporaryDirectory(prefix="pmp-") as directory:
        work = Path(directory).resolve()
        done = container.run_contained(work, PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "work": work}


def devices(report: dict[str, Any], key: str, label: str) -> dict[str, Any]:
    """Return the values of a key, by the label of the device."""
    return {metadata[label]: value for name, metadata, value in report["points"] if name == key}


def test_mounts_are_the_hosts_by_their_names_there(report: dict[str, Any]) -> None:
    """A mount made after the container started is included; the container's own mounts are not."""
    work: Path = report["work"]
    sizes = devices(report, "disk_partition_disk_usage_total", "disk_partition_mountpoint")
    assert sizes.keys() >= {f"{work}/disk", f"{work}/later"}
    assert not any(point.startswith(("/host", f"{work}/root")) for point in sizes)
    assert 0 < sizes[f"{work}/disk"] == sizes[f"{work}/later"] < 8 << 20
    assert devices(report, "inodes_total", "inodes_mountpoint").keys() == sizes.keys()


def test_interfaces_are_the_hosts(report: dict[str, Any]) -> None:
    """The container itself only has a loopback interface that is down."""
    assert devices(report, "network_io_bytes_recv", "network_io_interface").keys() == {
        "lo",
        "host0",
    }
    up = devices(report, "network_link_up", "network_link_interface")
    assert (up["lo"], up["host0"]) == (1, 0)


def test_processes_are_the_hosts(report: dict[str, Any]) -> None:
    """Processes outside the container are counted, too."""
    (count,) = [value for key, _, value in report["points"] if key == "process_count"]
    assert count >= 6


def test_the_configured_host_name_is_used(report: dict[str, Any]) -> None:
    """All series have it, and not the container's name."""
    assert report["origin"] == "host.example.org"
    assert {metadata["hostname"] for _, metadata, _ in report["points"]} == {"host.example.org"}


def test_a_family_that_would_show_the_container_is_left_out(report: dict[str, Any]) -> None:
    """The status gives the reason."""
    assert report["left_out"]["users"].endswith("only sees logins below the agent's own root")


def test_once_and_doctor_use_the_same_paths(home: Path) -> None:
    """The host is simulated with files."""
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
