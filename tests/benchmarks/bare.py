"""A process that only makes the psutil calls of a poll, at a given rate.

python -m tests.benchmarks.bare HZ PHASE
"""

from __future__ import annotations

import sys

from tests.benchmarks.calls import answers, figures
from tests.benchmarks.pace import ticks

if __name__ == "__main__":
    sys.stdout.write(f"{len(figures(answers()))}\n")
    sys.stdout.flush()
    for _ in ticks(float(sys.argv[1]), float(sys.argv[2])):
        answers()
