"""The spool after the death of the process that wrote it, at whatever moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.spool import file
from pattoo_mp.spool.store import Spool
from tests.spool.polls import times
from tests.support.spools import AMPLE

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]

#: Appends polls in small batches, each with some that were given before, and reports each commit.
_APPENDER = """
import sys
from pathlib import Path
from pattoo_mp.spool.store import Spool
from tests.spool.polls import fill
from tests.support.spools import AMPLE
first, last = int(sys.argv[2]), int(sys.argv[3])
spool = Spool(Path(sys.argv[1]), AMPLE)
print("open", flush=True)
while first <= last:
    upto = min(last, first + first % 4)
    fill(spool, max(1, first - 5), upto)
    print(upto, flush=True)
    first = upto + 1
spool.close()
"""


class Appender:
    """A process that appends polls and says what was committed."""

    def __init__(self, path: Path, first: int = 1, last: int = 1_000_000) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(path), str(first), str(last)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.wait_for_line()

    def wait_for_line(self) -> str:
        """The next line that it wrote."""
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        assert line, "the appender ended by itself"
        return line

    def kill(self) -> int:
        """SIGKILL it; return the last number that it reported."""
        self._process.send_signal(signal.SIGKILL)
        return self.end()

    def end(self) -> int:
        """Wait for its end; return the last number that it reported."""
        # As `wait_for_line` reads: `communicate` would pass over what that has in its buffer.
        assert self._process.stdout is not None
        output: str = self._process.stdout.read()
        self._process.wait(timeout=30)
        whole = [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
        return int(whole[-1]) if whole else 0


def _after_lines(draw: random.Random) -> Callable[[Appender], None]:
    """Wait for some of its reports, so that the kill falls anywhere in the life of a spool."""
    count = draw.randrange(1, 60)

    def wait(appender: Appender) -> None:
        for _ in range(count):
            appender.wait_for_line()

    return wait


@pytest.mark.parametrize("seed", range(6))
def test_each_reported_poll_is_there_once_after_sigkill(home: Path, seed: int) -> None:
    """Whatever commit the kill met: all that was reported is there, once, in order, no hole."""
    path = home / "spool.sqlite"
    draw = random.Random(seed)
    first = 1
    for _ in range(3):
        appender = Appender(path, first)
        _after_lines(draw)(appender)
        reported = appender.kill()
        spool = Spool(path, AMPLE)
        kept = times(spool)
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= reported
        assert spool.waiting == len(kept)
        spool.close()
        # The next one is given again what the last one may not have kept.
        first = max(1, reported - 3)


def test_a_predecessor_that_ends_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool opens once the process that held it is done, and has all of its polls."""
    monkeypatch.setattr(file, "_PREDECESSOR_S", 20.0)  # a hundred syncs, on a disk that may be slow
    path = home / "spool.sqlite"
    appender = Appender(path, last=400)
    spool = Spool(path, AMPLE)
    assert times(spool) == list(range(1, 401))
    assert appender.end() == 400
    spool.close()


def test_a_killed_predecessor_holds_nothing(home: Path) -> None:
    """The lock goes with its process; the journal that it left behind is read."""
    path = home / "spool.sqlite"
    appender = Appender(path)
    number = int(appender.wait_for_line())
    appender.kill()
    spool = Spool(path, AMPLE)
    assert times(spool)[:number] == list(range(1, number + 1))
    spool.close()
