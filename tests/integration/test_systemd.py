"""The real agent as a `Type=notify` service, with a socket in place of systemd."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.settings import program_settings
from pattoo_mp.setup.host import Directory
from tests.support.agent import NAME, ROOT
from tests.support.systemd import Systemd
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

WATCHDOG_S = 0.5


@pytest.fixture
def systemd(home: Path) -> Iterator[Systemd]:
    """The socket, in the abstract namespace as systemd's may be."""
    with Systemd(f"@{home}/notify") as playing:
        yield playing


@pytest.fixture
def service(
    make_agent: Callable[..., Agent], systemd: Systemd, server: PattooServer
) -> Iterator[subprocess.Popen[bytes]]:
    """The agent in the foreground, with the environment that systemd sets."""
    environment = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
    agent = make_agent(port=server.port, environment=environment)
    with subprocess.Popen(
        [*agent.command, "--foreground"], env=agent.env(), stderr=subprocess.DEVNULL
    ) as process:
        yield process
        process.kill()


def test_systemd_is_notified_of_start_watchdog_reload_and_stop(
    service: subprocess.Popen[bytes], systemd: Systemd
) -> None:
    """READY once polls are stored, WATCHDOG from then on, RELOADING and READY, STOPPING."""
    wait_for(lambda: len(systemd.told("WATCHDOG")) > 4, what="four beats")
    first_ready = next(n for n, datagram in enumerate(systemd.heard) if "READY" in datagram)
    assert systemd.told("READY") == ["1"]
    assert "0 polled" not in systemd.heard[first_ready]["STATUS"]
    assert "polled, one every 0.1 s; " in systemd.told("STATUS")[-1]
    service.send_signal(signal.SIGHUP)
    wait_for(lambda: len(systemd.told("READY")) == 2, what="the end of a reload")
    reloads = [n for n, datagram in enumerate(systemd.heard) if "RELOADING" in datagram]
    assert len(reloads) == 1
    assert any("READY" in datagram for datagram in systemd.heard[reloads[0] :])
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0
    assert systemd.told("STOPPING") == ["1"]


def test_a_hanging_control_process_sends_no_heartbeat(
    service: subprocess.Popen[bytes], systemd: Systemd
) -> None:
    """Control's main loop sends them. After systemd's reaction polls arrive again."""
    wait_for(lambda: systemd.told("WATCHDOG"), what="a beat")
    os.kill(service.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, service.pid, os.WSTOPPED)
    systemd.listen()
    beats = len(systemd.heard)
    assert len(systemd.listen(3 * WATCHDOG_S)) == beats
    # In place of systemd: WatchdogSignal of the unit, and the SIGCONT that follows each signal.
    service.send_signal(signal.SIGTERM)
    service.send_signal(signal.SIGCONT)
    assert service.wait(20) == 0
    assert systemd.told("STOPPING") == ["1"]


def test_the_unit_fits_the_agent() -> None:
    """Type, watchdog and its signal; its directories are those of an installation."""
    unit = (ROOT / "conf" / f"{NAME}.service").read_text().splitlines()
    assert {"Type=notify", "WatchdogSec=60", "WatchdogSignal=SIGTERM"} <= set(unit)
    mode = f"0{Directory('', is_agent_owned=True).mode:o}"
    assert {f"{kind}DirectoryMode={mode}" for kind in ("State", "Cache", "Logs")} <= set(unit)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)
def test_the_systemd_unit_is_clean() -> None:
    """systemd-analyze verify reports nothing."""
    done = subprocess.run(
        ["systemd-analyze", "verify", ROOT / "conf" / f"{NAME}.service"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_makes_each_directory_of_the_sample() -> None:
    """With its examples: /run is empty after boot, and the agent's user may make nothing there."""
    unit = (ROOT / "conf" / f"{NAME}.service").read_text().splitlines()
    parents = {
        "StateDirectory": "/var/lib",
        "CacheDirectory": "/var/cache",
        "LogsDirectory": "/var/log",
        "RuntimeDirectory": "/run",
    }
    made = {f"{parent}/pattoo" for name, parent in parents.items() if f"{name}=pattoo" in unit}
    assert made == {setting.example for setting in program_settings() if setting.is_written_to}
    assert {f"{name}Mode=0750" for name in parents} <= set(unit)
    assert "RuntimeDirectoryPreserve=yes" in unit  # the PID file shows how a run ended
