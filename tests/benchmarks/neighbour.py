"""A neighbour that empties the caches: on each processor a process that reads more than they hold.

It reads between the ticks of what is measured, and rests while these run, so that they find their code and
data cold, as on a busy host. It takes at most `SHARE` of each processor; at high rates that is not enough
to empty the last cache, which may be large.

    python -m tests.benchmarks.neighbour PROCESSOR BYTES WALKS_A_SECOND

prints, when it gets SIGTERM, how many bytes a walk read: the median.
"""

from __future__ import annotations

import ctypes
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.pace import ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT: Final = Path(__file__).resolve().parents[2]
#: The time that the walks take of each processor, at most.
SHARE: Final = 0.4
#: A walk begins here in its part of the interval, and has ended before the next tick.
_PHASE: Final = 0.55
#: How much more than the caches is read. They do not replace strictly the oldest lines.
_MORE: Final = 1.25
#: If the kernel does not say how large they are.
_UNKNOWN: Final = 64 << 20
#: Of the memory that is available.
_MOST: Final = 0.25
#: Between two looks at the clock.
_PIECE: Final = 1 << 20
_SYS: Final = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Cache:
    """A cache that holds data: its level, its size in bytes, and the processors that share it."""

    level: int
    size: int
    shared_by: frozenset[int]


def caches(processor: int, root: Path = _SYS) -> list[Cache]:
    """Return the data caches of a processor; none where the kernel does not tell."""
    found = []
    for entry in sorted((root / f"cpu{processor}" / "cache").glob("index*")):
        with suppress(OSError, ValueError):
            if (entry / "type").read_text().strip() != "Instruction":
                found.append(
                    Cache(
                        int((entry / "level").read_text()),
                        size((entry / "size").read_text()),
                        numbers((entry / "shared_cpu_list").read_text()),
                    )
                )
    return found


def size(text: str) -> int:
    """Return bytes from a size as the kernel writes it, such as "2048K"."""
    text = text.strip()
    return int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1:], 0)


def numbers(text: str) -> frozenset[int]:
    """Return the numbers of a list as the kernel writes it, such as "0-1,4"."""
    parts = (part.partition("-") for part in text.strip().split(","))
    return frozenset(
        number for low, _, high in parts for number in range(int(low), int(high or low) + 1)
    )


def bytes_of_walk(of_processor: Iterable[Cache], ours: frozenset[int], most: int) -> int:
    """Return what the process on one processor reads, so that those on `ours` empty all caches together."""
    held = sum(cache.size / max(1, len(cache.shared_by & ours)) for cache in of_processor)
    return min(most, round(_MORE * held) or _UNKNOWN)


@dataclass
class Walked:
    """What the neighbour did: bytes that one walk was to read, and did read on all processors together."""

    asked: int = 0
    read: list[int] = field(default_factory=list)


@contextmanager
def neighbour(hz: float, subjects: int) -> Iterator[Walked]:
    """Let it walk before each tick of so many subjects, spread over the interval as `pace` does."""
    ours = frozenset(os.sched_getaffinity(0))
    most = round(_MOST * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / len(ours))
    walks = hz * (subjects if subjects < 3 else 4)
    walked = Walked()
    running = []
    try:
        for processor in sorted(ours):
            amount = bytes_of_walk(caches(processor), ours, most)
            walked.asked += amount
            command = [sys.executable, "-m", __name__, str(processor), str(amount), str(walks)]
            running.append(subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline(), "the neighbour did not start"
        yield walked
    finally:
        for process in running:
            process.terminate()
        for process in running:
            text, _ = process.communicate()
            walked.read.append(int(text or 0))


def _main(processor: int, amount: int, walks_a_second: float) -> None:
    os.sched_setaffinity(0, {processor})
    # Written, as all pages that were never written are the same one.
    memory = ctypes.create_string_buffer(b"\1" * amount, amount)
    address = ctypes.addressof(memory)
    find = ctypes.CDLL(None).memchr
    find.restype, find.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    read: list[int] = []
    parent = os.getppid()
    with suppress(KeyboardInterrupt):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        place = 0
        for _ in ticks(walks_a_second, _PHASE):
            if os.getppid() != parent:  # killed: nobody is left to end this
                return
            until = time.monotonic() + SHARE / walks_a_second
            done = 0
            while done < amount and time.monotonic() < until:
                piece = min(_PIECE, amount - place)
                find(address + place, 2, piece)  # not there, so it reads all
                place = (place + piece) % amount  # the next walk goes on where this one ends
                done += piece
            read.append(done)
    sys.stdout.write(f"{round(statistics.median(read)) if read else 0}\n")


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
