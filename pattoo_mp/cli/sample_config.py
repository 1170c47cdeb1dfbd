"""`--sample-config`: a configuration to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.statuses import DONE
from pattoo_mp.config import sample

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Print all files, each below its name, or one as it would be."""
    text = sample.one_file(arguments.file) if arguments.file else sample.every_file()
    print(text, end="")
    return DONE
