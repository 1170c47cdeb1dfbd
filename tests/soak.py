"""A soak test: the real agent at a high rate for minutes. Memory and descriptors must not grow.

    python -m tests.soak --hz 50 --seconds 600

prints a table over time. It exits with 1 if the ledger does not balance, a tick is missing without
being reported, or memory or descriptors grow.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.support.agent import Agent
from tests.support.server import PREFIX, Handler, PattooServer, Post
from tests.support.usage import memory_kb, processor_s
from tests.support.waiting import wait_for

#: The growth in kB that all three processes together may have from the first to the last fifth of the run.
ALLOWED_KB = 2_000
SAMPLE_S = 5.0


class CountingServer(PattooServer):
    """Keeps the timestamps of polls instead of the posts, so that the test needs little memory."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.behaviour = self._count

    def _count(self, handler: Handler) -> bool:
        # Called before the post is stored: remove the stored ones from memory.
        posts, self.posts = self.posts, []
        self.seen += [t for post in posts for t in post.timestamps()]
        assert handler.path.startswith(PREFIX)
        return True

    def all_seen(self) -> list[int]:
        """Return the polls that arrived, in order."""
        rest: list[Post] = list(self.posts)
        return self.seen + [t for post in rest for t in post.timestamps()]


def main() -> int:
    """Run the soak and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hz", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    home, server = Path(tempfile.mkdtemp(prefix="pmp-")), CountingServer()
    agent = Agent(home, port=server.port, interval=round(1 / arguments.hz, 3))
    try:
        agent.start()
        samples = watch(agent, arguments.seconds)
        return verdict(agent, server, samples)
    finally:
        agent.end()
        server.close()
        shutil.rmtree(home, ignore_errors=True)


def watch(agent: Agent, seconds: float) -> list[tuple[int, int]]:
    """Sample memory (kB) and descriptors of the process tree every few seconds."""
    began = time.monotonic()
    pids = {name: agent.worker(name) for name in ("collector", "uploader")}
    pids["control"] = agent.pid or 0
    samples: list[tuple[int, int]] = []
    used = sum(processor_s(pid) for pid in pids.values())
    while time.monotonic() < began + seconds:
        due = began + SAMPLE_S * (len(samples) + 1)
        wait_for(lambda due=due: time.monotonic() >= due)  # type: ignore[misc]
        memory = {name: memory_kb(pid) for name, pid in pids.items()}
        descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids.values())
        samples.append((sum(memory.values()), descriptors))
        if len(samples) % 12 == 1:
            print(
                f"{time.monotonic() - began:6.0f} s  {memory}  {descriptors} descriptors",
                flush=True,
            )
    spent = sum(processor_s(pid) for pid in pids.values()) - used
    print(f"processor: {100 * spent / (time.monotonic() - began):.1f} % of one, for the tree")
    return samples


def verdict(agent: Agent, server: CountingServer, samples: list[tuple[int, int]]) -> int:
    """Print a line for each condition. Return the exit status."""
    status = agent.status()
    polls = status["polls"]
    wait_for(lambda: agent.status()["polls"]["delivered"] >= polls["polled"], 60, "all deliveries")
    agent.stop()
    seen = server.all_seen()
    fifth = max(1, len(samples) // 5)
    growth = [
        statistics.median(s[i] for s in samples[-fifth:]) - statistics.median(s[i] for s in samples[:fifth])
        for i in (0, 1)
    ]  # fmt: skip
    step = status["interval_ms"]
    gaps = [(a, b) for a, b in pairwise(seen) if b - a != step]
    checks = {
        f"memory grew by {growth[0]:.0f} kB": growth[0] <= ALLOWED_KB,
        f"descriptors grew by {growth[1]:.0f}": growth[1] <= 0,
        f"{polls['polled']} polled, {polls['unaccounted']} unaccounted": polls["unaccounted"] == 0,
        f"{len(seen)} arrived, {len(gaps)} gaps, missed {status['missed']}": (
            sum((b - a) // step - 1 for a, b in gaps) == sum(status["missed"].values())
        ),
        f"dropped {polls['dropped']}, quarantined {polls['quarantined']}": (
            not polls["dropped"] and not polls["quarantined"]
        ),
        "no traceback in the log": "Traceback" not in agent.log,
    }
    for what, holds in checks.items():
        print(f"{'ok    ' if holds else 'FAILED'}  {what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
