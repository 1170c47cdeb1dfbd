"""Any file of the kernel may hang for good, in a read that cannot be killed: the polls go on without it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.collect import host as host_module
from pattoo_mp.collect import registry
from pattoo_mp.collect.collector import Collector
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.config.families import EVERY
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.timelimit.deadline import NoAnswerError
from tests.support.configs import config_in
from tests.support.fuse import on_fuse
from tests.support.hosts import HOSTS
from tests.support.procfs import MEMINFO, NET_DEV
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.fuse import Stage

INTERVAL_MS = 500
#: Threads that ask for what is left when one hangs, and the poller's own.
_ASKING = 12
#: Files, and the sources that need them.
FILES = {
    "/proc/meminfo": {"memory", "swap"},
    "/proc/stat": {
        "processor.shares", "processor.times", "processor.counters", "per_processor.times", "uptime",
        "process_events",
    },
    "/proc/vmstat": {"swap", "paging"},
    "/proc/diskstats": {"disk_io", "disk_queue"},
    "/proc/loadavg": {"system.load", "load_per_processor"},
    "/proc/filesystems": {"disk_partitions", "inodes", "mount_state"},
    "/proc/sys/fs/file-nr": {"file_handles"},
    "/proc/1/stat": {"process_states", "top_processes"},
    "/sys/devices/system/cpu/online": {"processors", "load_per_processor"},
}  # fmt: skip


class Polls:
    """A collector of all families in a child process on a stage. The test acts as control.

    `other` changes its configuration.
    """

    def __init__(self, stage: Stage, **other: Any) -> None:  # noqa: ANN401 - whatever a setting holds
        self.link, theirs = Link.pair()
        self.times_ms: list[int] = []
        self.left_out: dict[str, str] = {}
        self.pid = os.fork()
        if self.pid == 0:
            self._run(stage, theirs, other)
        theirs.close()

    def _run(self, stage: Stage, link: Link, other: dict[str, Any]) -> None:
        try:
            host_module._kept.clear()  # what this process has open is not on the stage
            stage.enter()
            families = dict.fromkeys(EVERY, True)
            choices = {"interval_ms": INTERVAL_MS, "families": families, **other}
            config = config_in(Path("/nowhere"), **choices)
            HostPaths.of(config).adopt()
            Collector(link, ORIGIN, config, 0, at_once=False).run()
        finally:
            os._exit(1)

    @property
    def hanging(self) -> set[str]:
        """The parts that the last poll left out because they hang."""
        return {name for name, why in self.left_out.items() if NoAnswerError.WORDS in why}

    def hear(self, enough: Callable[[], Any], what: str) -> None:
        """Read messages until `enough`."""

        def read() -> Any:  # noqa: ANN401 - whatever it returns
            for message in self.link.receive():
                if message[0] == Kind.POLL:
                    self.times_ms.append(message[2])
                elif message[0] == Kind.NOTE:
                    self.left_out = message[1]
            return enough()

        wait_for(read, what=what)

    def more(self, number: int) -> list[int]:
        """Return the times of the last poll and of so many more."""
        before = len(self.times_ms)
        self.hear(lambda: len(self.times_ms) >= before + number, "more polls")
        return self.times_ms[before - 1 :]


@contextlib.contextmanager
def polls_on(stage: Stage, **other: Any) -> Iterator[Polls]:  # noqa: ANN401 - as for `Polls`
    """Run a collector, and end it after the block."""
    polls = Polls(stage, **other)
    try:
        yield polls
    finally:
        polls.link.close()
        os.kill(polls.pid, signal.SIGKILL)
        stage.close()  # a process with a thread that hangs would not end
        os.waitpid(polls.pid, 0)


@pytest.mark.parametrize("path", FILES)
def test_polls_go_on_without_a_file_that_hangs(path: str) -> None:
    """They miss no tick after the first, leave out only what needs the file, and take it back later."""
    if not Path(path).exists():
        pytest.skip(f"this kernel has no {path}")
    with on_fuse(path) as stage, polls_on(stage) as polls:
        polls.more(2)
        assert not polls.hanging
        stage.hang(path)
        polls.more(2)
        polls.hear(lambda: polls.hanging, "a note")
        times_ms = polls.more(4)
        assert times_ms == list(range(times_ms[0], times_ms[-1] + 1, INTERVAL_MS))
        assert {name.partition(" ")[0] for name in polls.hanging} <= FILES[path]
        stage.answer(path)
        polls.hear(lambda: not polls.hanging, "its return")
        polls.more(1)


# Each family, on a host whose files may all hang.

#: Files of the host, and what is left out if they hang.
HOST_FILES = {
    "proc/loadavg": {"system.load", "load_per_processor"},
    "proc/stat": {
        "processor.shares", "processor.times", "processor.counters", "per_processor.times", "uptime",
        "process_events",
    },
    "proc/meminfo": {"memory", "swap"},
    "proc/vmstat": {"swap", "paging"},
    "proc/filesystems": {"disk_partitions", "inodes", "mount_state"},
    "proc/1/mounts": {"disk_partitions", "inodes", "mount_state"},
    "proc/self/mountinfo": {"disk_partitions", "inodes", "mount_state"},
    "proc/1/mountinfo": {"disk_partitions", "inodes", "mount_state"},
    "proc/diskstats": {"disk_io", "disk_queue"},
    "proc/net/dev": {"network_io"},
    "proc/pressure/cpu": {"pressure.cpu"},
    "proc/pressure/memory": {"pressure.memory"},
    "proc/pressure/io": {"pressure.io"},
    "proc/pressure/irq": {"pressure_irq"},
    "proc/mdstat": {"raid"},
    "proc/sys/fs/file-nr": {"file_handles"},
    "proc/net/sockstat": {"sockets.ipv4"},
    "proc/net/sockstat6": {"sockets.ipv6"},
    "proc/net/tcp": {"tcp_states"},
    "proc/net/tcp6": {"tcp_states"},
    "proc/net/netstat": {"protocols.more"},
    "proc/net/snmp": {"protocols.basic", "ip.ipv4"},
    "proc/net/snmp6": {"ip.ipv6"},
    "proc/net/stat/nf_conntrack": {"conntrack"},
    "proc/net/softnet_stat": {"softnet"},
    "sys/class/net/eth0/mtu": {"network_links"},
    "sys/class/net/eth0/carrier_changes": {"link_changes"},
    "proc/net/bonding/bond0": {"bonding"},
    "sys/class/hwmon/hwmon3/temp1_input": {"temperatures hwmon3"},
    "sys/class/hwmon/hwmon2/fan1_input": {"fans hwmon2"},
    "sys/class/thermal/thermal_zone0/temp": {"thermal_zones thermal_zone0"},
    "sys/class/power_supply/BAT0/uevent": {"batteries BAT0", "mains BAT0"},
    "sys/class/power_supply/AC/uevent": {"batteries AC", "mains AC"},
    "proc/uptime": {"uptime"},
    "proc/1/stat": {"process_states", "top_processes"},
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": {
        "processor.frequency", "per_processor.frequency",
    },
    "text/backup.prom": {"textfile"},
}  # fmt: skip

#: What none of the hosts has.
FURTHER = {
    "proc/loadavg": "0.50 0.25 0.10 1/99 1234\n",
    "proc/meminfo": MEMINFO,
    "proc/filesystems": "\text4\nnodev\ttmpfs\n",
    "proc/1/mounts": "/dev/sda1 / ext4 rw 0 0\n",
    "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
    "proc/1/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
    "proc/net/dev": f"{NET_DEV}  eth0: 1048576 1000 1 2 0 0 0 0 524288 500 3 4 0 0 0 0\n",
    "sys/class/net/eth0/mtu": "1500\n",
    "text/backup.prom": "backup_seconds 5\n",
}
#: Sources that read no file of the host's.
NO_FILE = {"agent", "commands", "users", "cgroup", "system.processes"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a host that has something for each family."""
    host = tmp_path_factory.mktemp("host")
    for name in ("board", "virtual", "laptop", "server"):
        shutil.copytree(HOSTS / name, host, symlinks=True, dirs_exist_ok=True)
    (host / "proc" / "cpuinfo").unlink()
    (host / "proc" / "1" / "net").symlink_to("../net")
    for name, text in FURTHER.items():
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).write_text(text)
    return host


@pytest.fixture(scope="module")
def stage_of_host(host: Path) -> Iterator[tuple[Stage, Polls]]:
    """The host, of which each file may hang, and a collector that polls it."""
    paths = {"procfs_path": host / "proc", "sysfs_path": host / "sys", "rootfs_path": Path("/")}
    with (
        on_fuse(*(str(host / name) for name in HOST_FILES)) as stage,
        polls_on(stage, **paths, textfile_directory=host / "text", interval_ms=200) as polls,
    ):
        polls.more(2)
        yield stage, polls


def test_each_source_is_tried() -> None:
    """Also that of a new family."""
    tried = {name.partition(" ")[0] for names in HOST_FILES.values() for name in names}
    assert tried | NO_FILE == {table.name for table in registry.tables()}


@pytest.mark.parametrize("name", HOST_FILES)
def test_each_family_goes_on_without_a_file_that_hangs(
    name: str, host: Path, stage_of_host: tuple[Stage, Polls]
) -> None:
    """What needs the file is left out, and nothing else. It is back when the file answers."""
    stage, polls = stage_of_host
    stage.hang(str(host / name))
    polls.hear(lambda: polls.hanging == HOST_FILES[name], "the note")
    stage.answer(str(host / name))
    polls.hear(lambda: not polls.hanging, "its return")


def test_ten_files_that_hang_take_a_thread_for_each_source(
    host: Path, stage_of_host: tuple[Stage, Polls]
) -> None:
    """Beside those that ask for them: no more, however long it lasts. All are back when the files answer."""
    stage, polls = stage_of_host

    def threads() -> int:
        return len(os.listdir(f"/proc/{polls.pid}/task"))  # noqa: PTH208 - a number

    before = threads()
    files = [name for name in HOST_FILES if not name.startswith("sys/")][:10]
    expected = set().union(*(HOST_FILES[name] for name in files))
    for name in files:
        stage.hang(str(host / name))
    polls.hear(lambda: polls.hanging == expected, "the note")
    polls.more(5)
    first = threads()
    assert first <= before + len(expected) + _ASKING
    polls.more(20)
    assert threads() <= first + 1
    for name in files:
        stage.answer(str(host / name))
    polls.hear(lambda: not polls.hanging, "their return")
