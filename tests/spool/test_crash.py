"""The spool after its process was killed at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.spool import file
from tests.spool.polls import times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]

#: Appends polls in small batches, each with some earlier ones, and reports each commit.
_APPENDER = """
import sys
from pathlib import Path
from tests.spool.polls import fill
from tests.support.spools import AMPLE, open_spool
first, last = int(sys.argv[2]), int(sys.argv[3])
spool = open_spool(Path(sys.argv[1]), AMPLE)
print("open", flush=True)
while first <= last:
    upto = min(last, first + first % 4)
    fill(spool, max(1, first - 5), upto)
    print(upto, flush=True)
    first = upto + 1
spool.close()
"""


class Appender:
    """A process that appends polls and reports what was committed."""

    def __init__(self, path: Path, first: int = 1, last: int = 1_000_000) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(path), str(first), str(last)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.wait_for_line()

    def wait_for_line(self) -> str:
        """Return its next line."""
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        assert line, "the appender ended by itself"
        return line

    def kill(self) -> int:
        """Kill it; return the last number that it reported."""
        self._process.send_signal(signal.SIGKILL)
        return self.end()

    def end(self) -> int:
        """Wait for its end; return the last number that it reported."""
        # Not `communicate`: that would skip what `wait_for_line` has buffered.
        assert self._process.stdout is not None
        output: str = self._process.stdout.read()
        self._process.wait(timeout=30)
        whole = [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
        return int(whole[-1]) if whole else 0


def _after_lines(draw: random.Random) -> Callable[[Appender], None]:
    """Wait for some reports, so that the kill may come at any time in a spool's life."""
    count = draw.randrange(1, 60)

    def wait(appender: Appender) -> None:
        for _ in range(count):
            appender.wait_for_line()

    return wait


@pytest.mark.parametrize("seed", range(6))
def test_each_reported_poll_is_there_once_after_a_kill(home: Path, seed: int) -> None:
    """Every reported poll is there once, in order and without a gap, whenever the kill came."""
    path = home / "spool.sqlite"
    draw = random.Random(seed)
    first = 1
    for _ in range(3):
        appender = Appender(path, first)
        _after_lines(draw)(appender)
        reported = appender.kill()
        spool = open_spool(path, AMPLE)
        kept = times(spool)
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= reported
        assert spool.account(OUTPUT).waiting == len(kept)
        spool.close()
        # The next process gets again what the last one may not have stored.
        first = max(1, reported - 3)


def test_the_lock_of_an_ending_predecessor_is_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool opens once the process with the lock has ended, and has all of its polls."""
    monkeypatch.setattr(file, "_PREDECESSOR_S", 20.0)  # a hundred syncs, perhaps on a slow disk
    path = home / "spool.sqlite"
    appender = Appender(path, last=400)
    spool = open_spool(path, AMPLE)
    assert times(spool) == list(range(1, 401))
    assert appender.end() == 400
    spool.close()


def test_a_killed_predecessor_holds_no_lock(home: Path) -> None:
    """The lock ends with its process. The journal that it left is replayed."""
    path = home / "spool.sqlite"
    appender = Appender(path)
    number = int(appender.wait_for_line())
    appender.kill()
    spool = open_spool(path, AMPLE)
    assert times(spool)[:number] == list(range(1, number + 1))
    spool.close()
