"""A process that polls, encodes and posts with the original agent's library, at a given rate.

python -m tests.benchmarks.original HZ PHASE, with PATTOO_CONFIGDIR in the environment. For each poll it
does what the original agent does, with its classes. So this is the original's cost without its daemon.
"""

from __future__ import annotations

import platform
import sys

import psutil
from pattoo_shared import phttp
from pattoo_shared.constants import DATA_FLOAT
from pattoo_shared.variables import AgentPolledData, DataPoint, DataPointMetadata, TargetDataPoints

from tests.benchmarks.calls import answers, figures
from tests.benchmarks.pace import ticks

PROGRAM = "pattoo_agent_original"


def poll() -> AgentPolledData:
    """Take one poll as the original does."""
    agent = AgentPolledData(PROGRAM, 1)
    host = [
        DataPointMetadata("release", platform.release(), update_checksum=False),
        DataPointMetadata("version", platform.version(), update_checksum=False),
        DataPointMetadata("processor", platform.processor()),
        DataPointMetadata("type", platform.system()),
        DataPointMetadata("cpus", psutil.cpu_count()),
        DataPointMetadata("hostname", agent.agent_hostname),
    ]
    target = TargetDataPoints(agent.agent_hostname)
    for key, device, value in figures(answers()):
        point = DataPoint(key, value, data_type=DATA_FLOAT)
        for pair in host:
            point.add(pair)
        if device:
            point.add(DataPointMetadata("device", device))
        target.add(point)
    agent.add(target)
    return agent


if __name__ == "__main__":
    sys.stdout.write(f"{len(figures(answers()))}\n")
    sys.stdout.flush()
    for _ in ticks(float(sys.argv[1]), float(sys.argv[2])):
        phttp.PostAgent(poll()).post()
