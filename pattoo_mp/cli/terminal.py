"""What a terminal, or whoever else reads what is printed, can show."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def show_any_letter() -> None:
    """A name on this host may hold letters that the terminal's encoding has not: show their numbers."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
