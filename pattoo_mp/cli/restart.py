"""`--restart`: an end and a new beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import apart, start
from pattoo_mp.cli.running import agent
from pattoo_mp.config.home import config_directory

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Stop it and start it; one that could not start again is not stopped."""
    apart.load(config_directory())
    agent().stop(force=arguments.force)
    return start.run(arguments)
