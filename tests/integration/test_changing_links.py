"""A host whose virtual interfaces come and go all the time, in a network namespace of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.apart import run_with_mounts

if TYPE_CHECKING:
    from pathlib import Path

#: Runs an agent with more interfaces than a layout without parts holds, and prints what became of it.
PROGRAM = """
import json, sys
from pathlib import Path
from pattoo_mp.model import now_ms
from pattoo_mp.spool.store import Spool
from tests.benchmarks.changing import Links
from tests.support.agent import Agent
from tests.support.server import PattooServer
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
links = Links()
present = list(range(100))
links.make(present)
server = PattooServer()
agent = Agent(Path(sys.argv[1]) / "home", server.port, interval=0.2)
agent.set_own("families", links.families)
agent.start()
try:
    for number in range(100, 140):
        polled = agent.status()["polls"]["polled"]
        links.remove([present.pop(7 * number % 99)])
        links.make([number])
        present.append(number)
        wait_for(lambda: agent.status()["polls"]["polled"] > polled + 1, what="a poll")
    changed_ms = now_ms()
    wait_for(lambda: server.posts[-1].timestamps()[-1] > changed_ms, what="the last interface")
    status = agent.status()
    agent.stop()
finally:
    agent.end()
    server.close()
points = [point for post in server.posts for point in post.datapoints()]
last = max(point["pattoo_timestamp"] for point in points)
by_key = {}
labels = {
    "network_io_bytes_sent": "network_io_interface", "network_link_mtu": "network_link_interface",
    "link_changes_carrier": "link_changes_interface",
}
for point in points:
    key = point["pattoo_key"]
    if point["pattoo_timestamp"] == last and key in labels:
        by_key.setdefault(key, []).append(point[labels[key]])
expected = sorted([f"veth{n}" for n in present] + [f"peer{n}" for n in present])
names = {}
for point in points:
    name = (point["pattoo_key"], *(point.get(label) for label in labels.values()))
    names.setdefault(point["pattoo_checksum"], set()).add(name)
account = open_spool(agent.spool, AMPLE).account(OUTPUT)
print(json.dumps({
    "codes": [trouble["code"] for trouble in status["troubles"]],
    "lines": sum("A poll has" in line for line in agent.log.splitlines()),
    "warnings": [line for line in agent.log.splitlines() if " WARNING " in line or " ERROR " in line],
    "wrong": {
        key: sorted(set(found).symmetric_difference(expected) - {"lo"})
        for key, found in by_key.items()
    },
    "keys": sorted(by_key), "labels": sorted(labels),
    "polls": len({point["pattoo_timestamp"] for point in points}), "delivered": account.delivered,
    "kept": account.kept, "waiting": account.waiting, "dropped": dict(account.dropped),
    "ambiguous": [list(some) for some in names.values() if len(some) > 1],
}))
"""

TRIAL = "mount -t sysfs sysfs /sys; ip link add veth0 type veth peer peer0"


def test_a_host_whose_interfaces_change_all_the_time_loses_nothing(tmp_path: Path) -> None:
    """Every poll arrives, with the interfaces of its time; the log has a few lines, the status a trouble."""
    done = run_with_mounts(
        tmp_path, PROGRAM, str(tmp_path), options=("--net",), trial=TRIAL, timeout_s=110
    )
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert found["lines"] <= 4
    assert found["keys"] == found["labels"]
    assert set(map(len, found["wrong"].values())) == {0}, found["wrong"]
    assert found["ambiguous"] == []
    assert found["polls"] == found["delivered"]
    assert found["kept"] == found["delivered"] + found["waiting"]
    assert found["dropped"] == {}
    assert found["codes"] in ([], ["devices_change"])
