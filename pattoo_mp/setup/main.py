"""The command line of `pattoo_mp-setup`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import BAD_USAGE, DONE, FAILED
from pattoo_mp.config import load
from pattoo_mp.config.settings import AGENT_FILE, SHARED_FILE
from pattoo_mp.errors import ConfigError, PattooError, SetupError
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.agent import Agent
from pattoo_mp.setup import act, host, plan, templates
from pattoo_mp.setup.host import (
    CONFIGURATION,
    USER,
    Inventory,
    agents_directories,
    below,
    has_user,
    inspect,
    inventory,
    unreachable,
)
from pattoo_mp.setup.plan import Act, Step
from pattoo_mp.setup.templates import Boot, programs, shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.setup.host import Record


NAME: Final = "pattoo_mp-setup"
#: The root of a host, where a user is made, and everything is given to it.
HOST: Final = Path("/")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as `verb`, `root`, and what goes with the verb; exits with 2 if it is none."""
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Makes the agent at home on a host: a user, directories, a configuration, and "
        "what starts it at boot. What a person wrote is never overwritten.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument(
        "--root", type=_directory, default=HOST, metavar="DIR",
        help="put everything below DIR, make no user (for packagers)",
    )  # fmt: skip
    changing = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    changing.add_argument("--dry-run", action="store_true", help="only say what would be done")
    choosing = argparse.ArgumentParser(add_help=False)
    choosing.add_argument(
        "--boot", choices=[each.value for each in Boot],
        help="what starts the agent at boot; without this, what install made it the last time, or "
        "what runs services here",
    )  # fmt: skip
    choosing.add_argument(
        "--logrotate",
        action="store_true",
        help="a file for logrotate, in place of the agent's own rotation",
    )
    verbs.add_parser("install", parents=[changing, choosing], help="add what is not there")
    removing = verbs.add_parser("uninstall", parents=[changing], help="take away what install made")
    removing.add_argument(
        "--purge", action="store_true", help="configuration, data and the user as well"
    )
    verbs.add_parser(
        "status", parents=[everywhere, choosing],
        help="say what is there; exit 0 if nothing is missing, 3 otherwise",
    )  # fmt: skip
    return parser


def _directory(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such directory; expected one that is there")
    return path


# `pattoo_mp-setup`: from its command line to an exit status.

#: `status`: something is missing.
_NOT_COMPLETE: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    arguments = parse(argv)
    os.umask(0o022)
    try:
        run = {"install": _install, "uninstall": _uninstall, "status": _status}[arguments.verb]
        return run(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(f"{NAME}: error: {problem}", file=sys.stderr)
        return BAD_USAGE
    except PattooError as error:
        print(f"{NAME}: error: {error}", file=sys.stderr)
        return FAILED


def _install(arguments: argparse.Namespace) -> int:
    _must_be_allowed(arguments)
    done = host.read_record(below(arguments.root, host.PATH))
    chosen = _boot(arguments, done)
    _must_be_alone(chosen, arguments.root, done)
    steps = _install_steps(arguments, chosen, done)
    _carry_out(steps, arguments, done)
    if arguments.root == HOST and not arguments.dry_run:
        _say_what_is_next(chosen, steps)
    return DONE


def _uninstall(arguments: argparse.Namespace) -> int:
    _must_be_allowed(arguments)
    if arguments.root == HOST:
        _must_not_run()
    done = host.read_record(below(arguments.root, host.PATH))
    if done.is_empty:
        _say("There is nothing that install has put here.")
        return DONE
    there = inspect(arguments.root, [*done.files, *done.directories])
    steps = plan.uninstall(there, done, purge=arguments.purge)
    _carry_out(steps, arguments, done)
    if arguments.root == HOST and not arguments.dry_run:
        removed = [step.what for step in steps if step.act is Act.REMOVE_FILE]
        _say_next(templates.how_to_forget(removed))
    return DONE


def _status(arguments: argparse.Namespace) -> int:
    done = host.read_record(below(arguments.root, host.PATH))
    steps = _install_steps(arguments, _boot(arguments, done), done)
    for step in steps:
        word = {"write": "lacks", "make": "lacks", "add": "lacks", "update": "old"}.get(step.word)
        _say(step.line if word is None else f"{word:<7} {step.what}")
    return DONE if all(step.act is Act.NOTHING for step in steps) else _NOT_COMPLETE


def _install_steps(arguments: argparse.Namespace, chosen: Boot, done: Record) -> list[Step]:
    wanted = _inventory(arguments, chosen, done)
    there = inspect(arguments.root, plan.paths(wanted, done))
    user = USER if arguments.root == HOST else ""
    return plan.install(wanted, there, done, user, has_user=has_user(USER))


def _inventory(arguments: argparse.Namespace, chosen: Boot, done: Record) -> Inventory:
    root, conf = arguments.root, shipped()
    directories = agents_directories(root)
    others = templates.boot_files(chosen, root, conf, programs())
    # Once it was asked for, it follows new releases as the other files do.
    if arguments.logrotate or templates.PATH in done.files:
        others.append(templates.logrotate_file(conf, directories))
    return inventory(directories.values(), others)


def _boot(arguments: argparse.Namespace, done: Record) -> Boot:
    """Who is asked for, or who was the last time: two of them would start two agents."""
    if arguments.boot:
        return Boot(arguments.boot)
    return templates.installed(done.files) or templates.detect(arguments.root)


def _carry_out(steps: list[Step], arguments: argparse.Namespace, done: Record) -> None:
    if arguments.dry_run:
        _say("Nothing is done. Without --dry-run this would be:")
    for step in steps if arguments.dry_run else act.do(steps, arguments.root, done):
        _say(step.line)


def _say(line: str) -> None:
    """Print a line; that nobody reads it any more (`| head`) must not end what is under way."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _must_be_allowed(arguments: argparse.Namespace) -> None:
    if arguments.root == HOST and os.geteuid() != 0 and not arguments.dry_run:
        raise SetupError(f"{arguments.verb}: needs root; expected that, or --root or --dry-run")


def _must_be_alone(chosen: Boot, root: Path, done: Record) -> None:
    """Raise `SetupError` if another than the `chosen` one would start the agent, too."""
    for path in done.files:
        other = templates.installed([path])
        if other not in {None, chosen} and below(root, path).exists():
            raise SetupError(
                f"--boot {chosen}: {other} starts the agent by {path}; expected '{NAME} uninstall' "
                f"first, which keeps configuration and data"
            )


def _must_not_run() -> None:
    """Raise `SetupError` if what is to be taken away is in use."""
    if templates.is_enabled(HOST):
        raise SetupError(
            f"systemd starts the agent at boot; expected 'systemctl disable --now {PROGRAM}' first"
        )
    try:
        pid = Agent(load.read_system_daemon_directory(Path(CONFIGURATION))).pid
    except ConfigError:
        return  # without a configuration none can be found, nor run for long
    if pid is not None:
        raise SetupError(f"the agent runs, as process {pid}; expected it to be stopped first")


def _say_what_is_next(chosen: Boot, steps: list[Step]) -> None:
    command = programs() / PROGRAM
    barrier = unreachable(programs())
    if barrier is not None:
        raise SetupError(
            f"{barrier}: the user {USER} cannot pass it, and so not run {command}; "
            f"expected an environment such as /opt/pattoo_mp"
        )
    todo = []
    if _is_written(f"{CONFIGURATION}/{SHARED_FILE}", steps):
        todo.append(f"edit {CONFIGURATION}/{SHARED_FILE}: where is the server?")
    if _is_written(templates.PATH, steps):
        todo.append(
            f"set log_max_bytes to 0 in {CONFIGURATION}/{AGENT_FILE}: logrotate rotates now"
        )
    todo.append(f"sudo -u {USER} {command} --check")
    todo.append(templates.how_to_begin(chosen, programs()))
    _say_next(todo)


def _is_written(path: str, steps: list[Step]) -> bool:
    return any(step.act is Act.WRITE and step.what == path for step in steps)


def _say_next(todo: list[str]) -> None:
    if todo:
        _say("\nNext:")
    for step in todo:
        _say(f"  {step}")
