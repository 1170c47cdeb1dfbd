"""python -m tests.torture --seed N --seconds S [--hz 10]: exit status 0 if the proof succeeds.

The faults of a run follow from its seed: each track repeats the same faults in the same order,
though not at the same microsecond.
"""

from __future__ import annotations

import argparse
import sys

from tests.torture.run import torture


def main() -> int:
    """Read the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the random faults (1)")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults go on (60)")
    parser.add_argument("--hz", type=float, default=10, help="polls a second (10)")
    parser.add_argument("--keep", action="store_true", help="keep the agent's directory")
    parser.add_argument("--no-spool", action="store_true", help="leave out faults of the spool")
    parser.add_argument("--outputs", type=int, default=1, help="outputs with a server each (1)")
    parser.add_argument("--store", action="store_true", help="post to a receiver, and kill it, too")
    words = parser.parse_args()
    verdict = torture(
        words.seed, words.seconds, words.hz, say,
        spool=not words.no_spool, keep=words.keep, outputs=words.outputs,
        store=words.store,
    )  # fmt: skip
    say(f"\nseed {words.seed}, {words.seconds:g} s of faults at {words.hz:g} Hz\n{verdict.table}")
    for failure in verdict.failures:
        say(f"FAILED {failure}")
    say("FAILED" if verdict.failures else "Everything is accounted for.")
    return 1 if verdict.failures else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
