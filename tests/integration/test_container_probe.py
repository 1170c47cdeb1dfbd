"""The liveness probe of the DaemonSet example, run against a real agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.support.agent import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

*_, DAEMON_SET = yaml.safe_load_all((ROOT / "docs" / "examples" / "daemonset.yaml").read_text())
PROBE = DAEMON_SET["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]


def is_alive(agent: Agent) -> bool:
    """Return the result of the probe, which has to answer in its time limit."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    answer = subprocess.run(
        PROBE["exec"]["command"],
        env={**agent.env(), "PATH": path},
        timeout=PROBE["timeoutSeconds"],
        check=False,
    )
    return answer.returncode == 0


def test_only_a_hanging_control_process_fails_the_probe(make_agent: Callable[..., Agent]) -> None:
    """An unreachable server is a trouble, but no reason for a restart."""
    agent = make_agent(port=free_port())
    agent.start()
    assert agent.pid is not None
    wait_for(lambda: agent.run("--status").returncode == 1, what="a trouble")
    assert is_alive(agent)
    os.kill(agent.pid, signal.SIGSTOP)
    assert not is_alive(agent)
    os.kill(agent.pid, signal.SIGCONT)
    assert is_alive(agent)
    agent.stop()
