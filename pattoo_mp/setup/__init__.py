"""Sets up a host for an installed agent, and removes it again: `pattoo_mp_setup`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pattoo_mp.util.dependencies import missing_packages

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status. Without the packages it needs, say what to install."""
    if problem := missing_packages():
        sys.stderr.write(f"pattoo_mp_setup: error: {problem}\n")
        return 1
    from pattoo_mp.setup.main import main  # noqa: PLC0415 - it imports what may be missing

    return main(argv)
