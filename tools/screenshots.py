"""Write the screenshots of the page: `make screenshots`.

A real receiver and two real agents run for a minute and a half, on this host, with something to do now and then,
and with an outage. Everything is below a temporary directory, and ends with this command.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import sync_playwright

from pattoo_mp.operate.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ROOT: Final = Path(__file__).resolve().parent.parent
FIGURES: Final = ROOT / "docs" / "figures"
NAME: Final = "pattoo_agent_os_autonomousd"
#: Of an address that is for documentation only.
HOSTS: Final = ("web1.example.org", "db1.example.org")
FILL_S: Final = 75
OUTAGE_S: Final = 7
WORK: Final = (
    "import time, os\n"
    "def busy(s):\n"
    "    end = time.monotonic() + s\n"
    "    while time.monotonic() < end: sum(range(2000))\n"
    "kept = []\n"
    "for turn in range(100):\n"
    "    busy(0.4 + turn % 4 * 0.8)\n"
    "    with open('load', 'wb') as f:\n"
    "        f.write(os.urandom(1 << 20) * (4 + turn % 5 * 6)); f.flush(); os.fsync(f.fileno())\n"
    "    kept.append(bytes(30 << 20)); kept = kept[-(turn % 7) - 1:]\n"
    "    time.sleep(1.2)\n"
)

#: The file, what is shown, and the screen.
SHOTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("page-light.png", "#host=1&span=60000", {"color_scheme": "light"}),
    ("page-dark.png", "#host=1&with=2&span=60000", {"color_scheme": "dark"}),
    ("page-wall.png", "#wall", {"viewport": {"width": 1000, "height": 420}}),
    (
        "page-phone.png",
        "#host=2&span=60000",
        {"viewport": {"width": 390, "height": 800}, "device_scale_factor": 1.5, "is_mobile": True,
         "has_touch": True, "color_scheme": "dark"},
    ),
)  # fmt: skip
USUAL: Final = {"viewport": {"width": 1280, "height": 860}}


def main() -> int:
    """Write them. Return the exit status."""
    program = shutil.which("chromium")
    if program is None:
        print("screenshots: chromium is not installed; expected Debian's package", file=sys.stderr)
        return 1
    with ExitStack() as running:
        home = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pmp-shots-")))
        url, port = running.enter_context(receiver(home))
        agents = [running.enter_context(agent(home / host, host, port)) for host in HOSTS]
        running.enter_context(work(home))
        print(f"The page is at {url} for the next {FILL_S} s.")
        time.sleep(FILL_S * 0.6)
        collector = agents[0].status()["workers"]["collector"]["pid"]
        os.kill(collector, signal.SIGSTOP)
        time.sleep(OUTAGE_S)
        os.kill(collector, signal.SIGCONT)
        time.sleep(FILL_S * 0.4 - OUTAGE_S)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
            for name, shown, screen in SHOTS:
                shoot(browser, url + shown, FIGURES / name, {**USUAL, **screen})
            browser.close()
    return 0


def shoot(browser: Browser, url: str, file: Path, screen: dict[str, Any]) -> None:
    """Write one picture, once charts are drawn."""
    context = browser.new_context(**screen)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".chart canvas, .card canvas")
    page.wait_for_timeout(5000)
    if page.locator(".chart .u-over").count() and not screen.get("is_mobile"):
        box = page.locator(".chart .u-over").first.bounding_box()
        if box:
            page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2)
            page.wait_for_timeout(300)
    page.screenshot(path=file)
    context.close()
    print(file)


@contextmanager
def receiver(home: Path) -> Iterator[tuple[str, int]]:
    """Run a receiver; give the address of its page, and its port."""
    command = [sys.executable, "-m", "pattoo_mp.receiver", "--port", "0"]
    with subprocess.Popen(
        [*command, "--database", home / "received.sqlite"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None  # noqa: S101
            said = process.stdout.readline()
            port = int(said.rpartition("/pattoo")[0].rpartition(":")[2])
            yield f"http://127.0.0.1:{port}/", port
        finally:
            process.kill()


@contextmanager
def agent(home: Path, host: str, port: int) -> Iterator[Agent]:
    """Run an agent that polls this host ten times a second, under another name."""
    etc = home / "etc"
    etc.mkdir(parents=True)
    (etc / "pattoo.yaml").write_text(
        f"pattoo:\n  log_directory: {home}/log\n  cache_directory: {home}/cache\n"
        f"  daemon_directory: {home}/daemon\n"
        f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {port}\n"
    )
    (etc / f"{NAME}.yaml").write_text(
        f"{NAME}:\n  polling_interval: 0.1\n  hostname: {host}\n  families: [pressure]\n"
        "  disks_include: [vd*, sd*, nvme*]\n  interfaces_include: [lo, eth0]\n"
    )
    environment = {**os.environ, "PATTOO_CONFIGDIR": str(etc)}
    command = [sys.executable, str(ROOT / "bin" / f"{NAME}.py")]
    subprocess.run([*command, "--start"], env=environment, check=True)
    try:
        yield Agent(home / "daemon")
    finally:
        subprocess.run([*command, "--stop"], env=environment, check=True)


@contextmanager
def work(home: Path) -> Iterator[None]:
    """Give the host something to do, so that there is something to see."""
    with subprocess.Popen([sys.executable, "-c", WORK], cwd=home) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
