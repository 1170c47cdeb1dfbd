"""A host whose mounts come and go all the time, with real mounts in a namespace of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.apart import run_with_mounts

if TYPE_CHECKING:
    from pathlib import Path

#: Runs an agent with more mounts than a layout without parts holds, and prints what became of it.
PROGRAM = """
import json, subprocess, sys
from pathlib import Path
from pattoo_mp.model import now_ms
from pattoo_mp.spool.store import Spool
from tests.support.agent import Agent
from tests.support.server import PattooServer
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
work = Path(sys.argv[1])
def run(*command):
    subprocess.run(command, check=True)
def bind(number):
    place = work / "mounts" / f"{number:04}"
    place.mkdir(parents=True)
    run("mount", "--bind", work / "disk", place)
    return str(place)
image = work / "image"
with image.open("wb") as file:
    file.truncate(8 << 20)
run("mkfs.ext4", "-q", image)
(work / "disk").mkdir()
run("mount", "-o", "loop", image, work / "disk")
present = [bind(number) for number in range(150)]
logged = lambda: [line for line in agent.log.splitlines() if "A poll has" in line]
server = PattooServer()
agent = Agent(work / "home", server.port, interval=0.2)
agent.set_own("families", "[inodes]")
agent.start()
try:
    for number in range(150, 190):
        polled = agent.status()["polls"]["polled"]
        run("umount", present.pop(7 * number % 149))
        present.append(bind(number))
        wait_for(lambda: agent.status()["polls"]["polled"] > polled + 1, what="a poll")
    changed_ms = now_ms()
    wait_for(lambda: server.posts[-1].timestamps()[-1] > changed_ms, what="the last mount")
    codes = [trouble["code"] for trouble in agent.status()["troubles"]]
    agent.stop()
finally:
    agent.end()
    server.close()
points = [point for post in server.posts for point in post.datapoints()]
last = max(point["pattoo_timestamp"] for point in points)
shown = [
    point["disk_partition_mountpoint"]
    for point in points
    if point["pattoo_timestamp"] == last and point["pattoo_key"] == "disk_partition_disk_usage_total"
]
checksums = {}
for point in points:
    checksums.setdefault(point["pattoo_checksum"], set()).add(
        (point["pattoo_key"], point.get("disk_partition_mountpoint"), point.get("inodes_mountpoint"))
    )
account = open_spool(agent.spool, AMPLE).account(OUTPUT)
print(json.dumps({
    "codes": codes, "lines": len(logged()), "missing": sorted(set(present) - set(shown)),
    "gone": [place for place in shown if place.startswith(str(work / "mounts")) and place not in present],
    "polls": len({point["pattoo_timestamp"] for point in points}), "delivered": account.delivered,
    "kept": account.kept, "waiting": account.waiting, "dropped": dict(account.dropped),
    "ambiguous": [names for names in map(list, checksums.values()) if len(names) > 1],
}))
"""


def test_a_host_whose_mounts_change_all_the_time_loses_nothing(tmp_path: Path) -> None:
    """Every poll arrives, with the mounts of its time; the log has a few lines, the status a trouble."""
    trial = "mount --bind /usr /mnt"
    done = run_with_mounts(tmp_path, PROGRAM, str(tmp_path), trial=trial, timeout_s=150)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert found["lines"] <= 4
    assert (found["missing"], found["gone"], found["ambiguous"]) == ([], [], [])
    assert found["polls"] == found["delivered"]
    assert found["kept"] == found["delivered"] + found["waiting"]
    assert found["dropped"] == {}
    assert found["codes"] in ([], ["devices_change"])
