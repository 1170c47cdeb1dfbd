"""`--translations`: what a pattoo server shows instead of this agent's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.statuses import DONE
from pattoo_mp.collect.translations import translations

if TYPE_CHECKING:
    import argparse


def run(_: argparse.Namespace) -> int:
    """Print the file that `pattoo_cli.py import key_translation` takes."""
    print(translations(), end="")
    return DONE
