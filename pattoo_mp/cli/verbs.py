"""What the command line knows: its verbs, and the options that go with some of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.settings import FILES

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to ask for. The module of its name in this room does it, in `run(arguments)`.

    Only the module of the verb that is asked for is imported: the control process is one of
    them, and stays small.
    """

    name: str
    help: str

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; return the exit status."""
        module = import_module(f"pattoo_mp.cli.{self.name.removeprefix('--').replace('-', '_')}")
        status: int = module.run(arguments)
        return status


@dataclass(frozen=True, slots=True)
class Option:
    """What changes what the verbs in `goes_with` do: a switch, or one of several `choices`.

    `help` names these verbs, for it is all that `--help` shows.
    """

    name: str
    help: str
    goes_with: tuple[str, ...]
    choices: tuple[str, ...] = ()


VERBS: Final = (
    Verb("--start", "Start the agent daemon."),
    Verb("--stop", "Stop the agent daemon."),
    Verb("--status", "Get daemon status."),
    Verb("--restart", "Restart the agent daemon."),
    Verb(
        "--reload",
        "Have the running agent daemon go by its changed configuration, without losing a poll. "
        "Exits with 2 if that is refused, with 3 if the daemon is stopped.",
    ),
    Verb("--once", "Show what a poll of this host holds. Sends nothing; needs no configuration."),
    Verb("--translations", "Print the CSV file that names the agent's keys to a pattoo server."),
    Verb("--foreground", "Run in the foreground, as supervisord and systemd want it."),
    Verb(
        "--check",
        "Check the configuration, say where each setting comes from, and ask the server whether "
        "it is there. Changes nothing.",
    ),
    Verb(
        "--doctor",
        "Check this host as the agent would use it, and say what to do where it is not well. "
        "Changes nothing.",
    ),
    Verb("--sample-config", "Print a commented configuration to start from."),
    Verb(
        "--event-listener", "Restart a hung agent; supervisord's event listener, run by it alone."
    ),
)

OPTIONS: Final = (
    Option(
        "--force",
        "Stops or restarts the agent daemon ungracefully when used with --stop or --restart.",
        ("--stop", "--restart"),
    ),
    Option(
        "--file",
        "Prints this file alone, as it may be used, when used with --sample-config.",
        ("--sample-config",),
        FILES,
    ),
    Option("--all", "Shows the families that are off, too, when used with --once.", ("--once",)),
    Option(
        "--json",
        "Prints JSON, for programs, when used with --check, --once, --doctor or --status.",
        ("--check", "--once", "--doctor", "--status"),
    ),
    Option(
        "--watch",
        "Shows the status again and again, until Ctrl-C, when used with --status.",
        ("--status",),
    ),
)
