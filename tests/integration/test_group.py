"""Several agents under one supervisord, as one group, with the shipped sections."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import yaml

from pattoo_mp.collect.translations import translations
from pattoo_mp.config import sample
from pattoo_mp.config.settings import program_files
from pattoo_mp.program import AUTONOMOUS, HUB, PROGRAMS, SPOKE, acting_as
from tests.support.agent import ROOT, Agent
from tests.support.ports import free_port
from tests.support.pulling import ask
from tests.support.supervised import BIN
from tests.support.waiting import wait_for
from tools.write_samples import group_file, service_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONF = ROOT / "conf"


def test_the_shipped_files_are_those_of_every_program() -> None:
    """`make samples` writes them: sections and units by the names of the first, samples from the settings."""
    assert (CONF / "pattoo_agents.conf").read_text() == group_file()
    for program in PROGRAMS:
        for name, text in service_files(program).items():
            assert (CONF / name).read_text() == text
        with acting_as(program):
            for name in program_files():
                assert (CONF / name).read_text() == sample.one_file(name)
            if program.polls_host:
                text = (CONF / f"{program.name}.translations.csv").read_text()
                assert text == translations()


def test_agents_run_as_one_group(home: Path, make_agent: Callable[..., Agent]) -> None:
    """The supervisor starts all, and the command of one stops that one by way of the supervisor."""
    port = free_port()
    autonomous = make_agent(program=AUTONOMOUS)
    spoke = make_agent(program=SPOKE)
    own = {"polling_interval": 0.1, "ip_listen_address": "127.0.0.1", "ip_bind_port": port}
    spoke.write(f"{SPOKE.name}.yaml", yaml.safe_dump({SPOKE.name: own}))
    hub = make_agent(program=HUB)
    target = {"ip_address": "127.0.0.1", "ip_bind_port": port}
    hub.write(
        f"{HUB.name}.yaml",
        yaml.safe_dump({HUB.name: {"polling_interval": 1, "ip_targets": [target]}}),
    )
    names = [*(f"{program.name}.conf" for program in PROGRAMS), "pattoo_agents.conf"]
    shipped = (CONF / "supervisord.conf").read_text()
    assert shipped.count("files=pattoo_agent_os_autonomousd.conf ") == 1
    files = " ".join(str(CONF / name) for name in names)
    supervisor = home / "supervisord.conf"
    supervisor.write_text(
        shipped.replace("files=pattoo_agent_os_autonomousd.conf ", f"files={files} ")
    )

    def ctl(*words: str) -> str:
        done = subprocess.run(
            [BIN / "supervisorctl", "-c", supervisor, *words],
            env=spoke.env(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout

    subprocess.run(
        [BIN / "supervisord", "-c", supervisor],
        env=spoke.env(), check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    try:
        wait_for(lambda: ctl("status", "pattoo_agents:*").count("RUNNING") == 3, what="all three")
        wait_for(lambda: _answers(port), what="the spoke")
        spoke.stop()
        lines = {line.split()[0]: line.split()[1] for line in ctl("status").splitlines()}
        assert lines[f"pattoo_agents:{SPOKE.name}"] == "STOPPED"
        for other in (AUTONOMOUS, HUB):
            assert lines[f"pattoo_agents:{other.name}"] == "RUNNING"
        assert autonomous.status()["state"] == "running"
    finally:
        ctl("shutdown")
        wait_for(lambda: not autonomous.processes(), what="the end of all")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return ask(port, "/").status == 200
    return False
