#!/usr/bin/env python3
"""Run an agent of pattoo_mp: from an installed package, or from a checkout beside this file.

The name of this file says which one: those of the other programs are links to it.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
OLDEST = (3, 11)


def main() -> int:
    """Find the package and run the command line; return the exit status."""
    if (ROOT / "pattoo_mp").is_dir():
        python = ENVIRONMENT / "bin" / "python"
        # `make` installs a checkout's dependencies into its .venv.
        if os.access(python, os.X_OK) and Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
            os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606 - this file again
        sys.path.insert(0, str(ROOT))
    if sys.version_info < OLDEST:
        return fail(f"{sys.executable} is Python {sys.version.split()[0]}; expected 3.11 or later")
    try:
        from pattoo_mp.cli import run_as  # noqa: PLC0415 - the path is known only now
    except ModuleNotFoundError as error:
        return fail(
            f"{error.name} is not installed for {sys.executable}; expected after 'pip install'"
        )
    return run_as(Path(__file__).stem)


def fail(problem: str) -> int:
    """Print the problem; return the exit status of a failure."""
    print(f"{Path(__file__).stem}: error: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
