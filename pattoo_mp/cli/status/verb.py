"""`--status`, with `--json` and `--watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.for_programs import told_in_json
from pattoo_mp.cli.status import forms
from pattoo_mp.cli.status.ask import ask, exit_status
from pattoo_mp.cli.status.watch import watch
from pattoo_mp.cli.terminal import show_any_letter
from pattoo_mp.control.status import unknown
from pattoo_mp.operate.agent import agent

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Ask the agent and show what it says; the exit status tells whether it is well."""
    show_any_letter()
    with told_in_json(arguments, unknown):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    asked = agent()
    if arguments.watch:
        with forms.again_and_again(as_json=arguments.json) as show:
            return watch(asked, show)
    status = ask(asked)
    forms.once(as_json=arguments.json)(status)
    return exit_status(status)
