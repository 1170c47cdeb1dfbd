"""`python -m pattoo_mp`: the same as `pattoo_agent_os_autonomousd`."""

from __future__ import annotations

import sys

from pattoo_mp.cli import main

if __name__ == "__main__":
    sys.exit(main())
