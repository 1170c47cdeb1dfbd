"""`python -m tests.fuzz [--seconds N] [--examples N] [pytest's options]`: the fuzz, over and over.

Ends with 1 at the first failure, which pytest has printed with its example.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run rounds of all tests with random seeds until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--examples", type=int, default=300, help="of each test in a round")
    arguments, options = parser.parse_known_args()
    until = time.monotonic() + arguments.seconds
    rounds = 0
    while time.monotonic() < until:
        rounds += 1
        seed = random.SystemRandom().randrange(2**32)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q", "-x", "--timeout=3600",
             "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *options],
            env={**os.environ, "FUZZ_EXAMPLES": str(arguments.examples)},
            check=False,
        )  # fmt: skip
        if done.returncode:
            sys.stderr.write(f"Round {rounds} failed: --hypothesis-seed={seed}\n")
            return 1
    sys.stdout.write(f"{rounds} rounds, no failure.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
