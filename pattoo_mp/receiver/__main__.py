"""`python -m pattoo_mp.receiver`: the same as `pattoo_mp_receiver`."""

from __future__ import annotations

import sys

from pattoo_mp.receiver.server import main

if __name__ == "__main__":
    sys.exit(main())
