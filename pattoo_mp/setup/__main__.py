"""`python -m pattoo_mp.setup`: the same as `pattoo_mp_setup`."""

from __future__ import annotations

import sys

from pattoo_mp.setup import run

if __name__ == "__main__":
    sys.exit(run())
