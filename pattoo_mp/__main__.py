"""`python -m pattoo_mp`: the same as `pattoo_agent_os_autonomousd`."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Run by its path, as by `--start`: Python put the package itself in front, not its parent.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from pattoo_mp.cli import main

if __name__ == "__main__":
    sys.exit(main())
