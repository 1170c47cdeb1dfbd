"""`--sample-config`: a configuration to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.output import DONE
from pattoo_mp.collect.translations import translations
from pattoo_mp.config import sample

if TYPE_CHECKING:
    import argparse


def run_sample_config(arguments: argparse.Namespace) -> int:
    """Print all files, each below its name, or one as it would be."""
    text = sample.one_file(arguments.file) if arguments.file else sample.every_file()
    print(text, end="")
    return DONE


# `--translations`: what a pattoo server shows instead of this agent's keys.


def run_translations(_: argparse.Namespace) -> int:
    """Print the file that `pattoo_cli.py import key_translation` takes."""
    print(translations(), end="")
    return DONE
