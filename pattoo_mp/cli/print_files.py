"""`--sample-config` and `--translations`: print files that ship with the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.output import DONE
from pattoo_mp.collect.translations import translations
from pattoo_mp.config import sample

if TYPE_CHECKING:
    import argparse


def run_sample_config(arguments: argparse.Namespace) -> int:
    """`--sample-config`: print all files, each below its name; with `--file` only that file."""
    text = sample.one_file(arguments.file) if arguments.file else sample.every_file()
    print(text, end="")
    return DONE


def run_translations(_: argparse.Namespace) -> int:
    """`--translations`: print the CSV file that `pattoo_cli.py import key_translation` reads."""
    print(translations(), end="")
    return DONE
