"""The command `pattoo_mp_setup`: from its command line to an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import BAD_USAGE, DONE, FAILED
from pattoo_mp.config import load
from pattoo_mp.config.settings import SHARED_FILE, agent_file
from pattoo_mp.control.run_directory import holder
from pattoo_mp.errors import ConfigError, PattooError, SetupError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.program import AUTONOMOUS, PROGRAMS, acting_as, program_of, this_program
from pattoo_mp.setup import act, host, plan, templates
from pattoo_mp.setup.host import (
    CONFIGURATION,
    USER,
    Inventory,
    agent_directories,
    below,
    closed_parent,
    has_user,
    inspect,
    inventory,
)
from pattoo_mp.setup.plan import Act, Step
from pattoo_mp.setup.templates import Boot, command_directory, conf_directory
from pattoo_mp.util.text import either, printable
from pattoo_mp.util.usage import OneLineParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.setup.host import Record


NAME: Final = "pattoo_mp_setup"
#: The default root. Only there a user is added, and files are given to it.
HOST: Final = Path("/")
#: Exit status of `status` if something is missing.
_NOT_COMPLETE: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = parse(argv)
    os.umask(0o022)
    try:
        run = {"install": _install, "uninstall": _uninstall, "status": _status}[arguments.verb]
        with acting_as(program_of(arguments.agent) or AUTONOMOUS):
            return run(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(f"{NAME}: error: {printable(problem)}", file=sys.stderr)
        return BAD_USAGE
    except PattooError as error:
        print(f"{NAME}: error: {printable(str(error))}", file=sys.stderr)
        return FAILED


def _install(arguments: argparse.Namespace) -> int:
    _require_root(arguments)
    record = host.read_record(below(arguments.root, host.RECORD_PATH))
    chosen = _boot(arguments, record)
    if templates.is_packaged() and arguments.root == HOST and chosen is not Boot.SUPERVISORD:
        raise SetupError(
            "install: this host was set up by the distribution's package; expected "
            f"'systemctl enable --now {this_program().name}', or --boot supervisord"
        )
    _require_single_boot(chosen, arguments.root, record)
    steps = _install_steps(arguments, chosen, record)
    record.boot = chosen
    _carry_out(steps, arguments, record)
    if arguments.root == HOST and not arguments.dry_run:
        _print_next_steps(chosen, steps)
    return DONE


def _uninstall(arguments: argparse.Namespace) -> int:
    _require_root(arguments)
    if arguments.root == HOST:
        _require_stopped()
    record = host.read_record(below(arguments.root, host.RECORD_PATH))
    if record.is_empty:
        _print("Nothing to remove: install has put nothing here.")
        return DONE
    found = inspect(arguments.root, [*record.files, *record.directories])
    steps = plan.uninstall(found, record, purge=arguments.purge)
    _carry_out(steps, arguments, record)
    if arguments.root == HOST and not arguments.dry_run:
        removed = [step.what for step in steps if step.act is Act.REMOVE_FILE]
        _print_commands(templates.reload_commands(removed))
    return DONE


def _status(arguments: argparse.Namespace) -> int:
    record = host.read_record(below(arguments.root, host.RECORD_PATH))
    steps = _install_steps(arguments, _boot(arguments, record), record)
    for step in steps:
        _print(status_line(step))
    return DONE if all(step.act is Act.NOTHING for step in steps) else _NOT_COMPLETE


def status_line(step: Step) -> str:
    """The line of `status` about what a step of `install` would do."""
    word = {"write": "lacks", "make": "lacks", "add": "lacks", "update": "old"}.get(step.word)
    if word is None:
        return step.line
    return replace(step, word=word, note=step.note if step.act is Act.ADD_USER else "").line


def _install_steps(arguments: argparse.Namespace, chosen: Boot, record: Record) -> list[Step]:
    wanted = _inventory(arguments, chosen, record)
    found = inspect(arguments.root, plan.paths(wanted, record))
    user = USER if arguments.root == HOST else ""
    return plan.install(wanted, found, record, user, has_user=has_user(USER))


def _inventory(arguments: argparse.Namespace, chosen: Boot, record: Record) -> Inventory:
    root, conf = arguments.root, conf_directory()
    directories = agent_directories(root)
    others = [
        templates.supervisord_file(directories),
        *templates.boot_files(chosen, root, conf, command_directory()),
    ]
    # Once installed, it is updated with new releases like the other files.
    if arguments.logrotate or templates.logrotate_path() in record.files:
        others.append(templates.logrotate_file(conf, directories))
    owned = [*directories.values()]
    if _has_receiver(arguments, record):
        others += templates.receiver_files(chosen, root, conf, command_directory())
        owned.append(templates.RECEIVER_DIRECTORY)
    return inventory(owned, others)


def _has_receiver(arguments: argparse.Namespace, record: Record) -> bool:
    """Whether the receiver is wanted, or was installed before. Raises `SetupError` if it could not run."""
    if arguments.receiver and find_spec("waitress") is None:
        raise SetupError('--receiver: expected after: pip install "pattoo_mp[receiver]"')
    return bool(arguments.receiver) or any(map(templates.is_receiver, record.files))


def _boot(arguments: argparse.Namespace, record: Record) -> Boot:
    """The chosen one, or the same as at the last install: with both, two agents would start."""
    if arguments.boot:
        return Boot(arguments.boot)
    if record.boot in {each.value for each in Boot}:
        return Boot(record.boot)
    return templates.boot_of(record.files) or templates.detect(arguments.root)


def _carry_out(steps: list[Step], arguments: argparse.Namespace, record: Record) -> None:
    if arguments.dry_run:
        _print("Nothing is changed. Without --dry-run, these steps would be taken:")
    for step in steps if arguments.dry_run else act.carry_out(steps, arguments.root, record):
        _print(step.line)


def _print(line: str) -> None:
    """Print a line. A closed pipe (`| head`) must not interrupt an installation."""
    try:
        print("\n".join(map(printable, line.split("\n"))), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_root(arguments: argparse.Namespace) -> None:
    if arguments.root == HOST and os.geteuid() != 0 and not arguments.dry_run:
        raise SetupError(f"{arguments.verb}: needs root; expected root, --root or --dry-run")


def _require_single_boot(chosen: Boot, root: Path, record: Record) -> None:
    """Raise `SetupError` if another file than that of `chosen` would start the agent too."""
    for path in record.files:
        other = templates.boot_of([path], [this_program()])
        if other not in {None, chosen} and below(root, path).exists():
            raise SetupError(
                f"--boot {chosen}: {other} already starts the agent, by {path}; expected "
                f"'{NAME} uninstall' first, which keeps configuration and data"
            )


def _require_stopped() -> None:
    """Raise `SetupError` if an agent of this host runs, or if it or the receiver would be started at boot."""
    if names := " ".join(templates.enabled(HOST)):
        raise SetupError(
            f"systemd starts {names} at boot; expected 'systemctl disable --now {names}' first"
        )
    for program in PROGRAMS:
        with acting_as(program):
            _require_one_stopped()


def _require_one_stopped() -> None:
    try:
        pid = Agent(load.read_system_daemon_directory(Path(CONFIGURATION))).pid
    except ConfigError:
        return  # without a valid configuration no agent can be found, and none runs for long
    if pid is not None:
        raise SetupError(f"the agent is running ({holder(pid)}); expected it to be stopped first")


def _print_next_steps(chosen: Boot, steps: list[Step]) -> None:
    command = command_directory() / this_program().name
    require_usable(command, Path(sys.executable))
    todo = []
    if _is_written(f"{CONFIGURATION}/{SHARED_FILE}", steps):
        todo.append(f"edit {CONFIGURATION}/{SHARED_FILE}: set the address of the server")
    if _is_written(templates.logrotate_path(), steps):
        todo.append(
            f"set log_max_bytes to 0 in {CONFIGURATION}/{agent_file()}: logrotate now rotates the log"
        )
    todo.append(f"sudo -u {USER} {command} --check")
    has_receiver = any(templates.is_receiver(step.what) for step in steps)
    todo.append(templates.start_command(chosen, command_directory(), receiver=has_receiver))
    _print_commands(todo)


def require_usable(command: Path, python: Path) -> None:
    """Raise `SetupError` if the agent's user cannot enter the place of its command or of its Python.

    The Python of an environment is a link, often to one that a tool has put below root's home.
    """
    closed = closed_parent(command.parent)
    if closed is not None:
        raise SetupError(
            f"{closed}: the user {USER} cannot enter it, so it cannot run {command}; "
            f"expected an environment such as /opt/pattoo_mp"
        )
    real = python.resolve()
    closed = closed_parent(real.parent)
    if closed is not None:
        raise SetupError(
            f"{closed}: the user {USER} cannot enter it, so it cannot run {real}, the Python of "
            f"{command.parent}; expected an environment made with a Python of the system, such as "
            "/usr/bin/python3 -m venv"
        )


def _is_written(path: str, steps: list[Step]) -> bool:
    return any(step.act is Act.WRITE and step.what == path for step in steps)


def _print_commands(todo: list[str]) -> None:
    if todo:
        _print("\nNext:")
    for step in todo:
        _print(f"  {step}")


# --- the command line


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line: `verb`, `root` and the verb's options. Exits with 2 on a wrong one."""
    parser = command_parser()
    arguments = parser.parse(argv)
    if arguments.verb is None:
        parser.error(f"expected {either(name for name, _, _ in parser.commands())}")
    return arguments


class _Parser(OneLineParser):
    words = "VERB"


def command_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog=NAME,
        description="Sets up a host for the agent: a user, directories, a configuration, and a file "
        "that starts the agent at boot. A file that you changed is never overwritten.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    verbs = parser.add_subparsers(dest="verb", parser_class=OneLineParser)
    installing = verbs.add_parser("install", help="add what is missing")
    removing = verbs.add_parser("uninstall", help="remove what install made")
    telling = verbs.add_parser(
        "status", help="print what is installed; exit 0 if nothing is missing, 3 otherwise"
    )
    for command, below_root in (
        (installing, "install below DIR, and add no user (for packagers)"),
        (removing, "remove what was installed below DIR"),
        (telling, "look below DIR"),
    ):
        command.add_argument(
            "--root", type=_directory, default=HOST, metavar="DIR", help=below_root
        )
    for command in (installing, removing):
        command.add_argument("--dry-run", action="store_true", help="only print what would be done")
    removing.set_defaults(agent=AUTONOMOUS.short)
    removing.add_argument(
        "--purge", action="store_true", help="remove configuration, data and the user too"
    )
    _add_choices(
        installing,
        agent="which agent to set up",
        boot="what starts the agent at boot",
        logrotate="add a file for logrotate, to replace the agent's own rotation",
        receiver="start the receiver at boot, too, which keeps and shows what agents post",
    )
    _add_choices(
        telling,
        agent="which agent to look for",
        boot="look for what starts the agent at boot in this way",
        logrotate="look for the file for logrotate, too",
        receiver="look for what starts the receiver at boot, too",
    )
    return parser


def _add_choices(
    parser: OneLineParser, *, agent: str, boot: str, logrotate: str, receiver: str
) -> None:
    """Add the options that choose what is installed, with their help."""
    parser.add_argument(
        "--agent", choices=[each.short for each in PROGRAMS], default=AUTONOMOUS.short,
        help=f"{agent} (default: autonomousd). Several may be on one host",
    )  # fmt: skip
    parser.add_argument(
        "--boot", choices=[each.value for each in Boot],
        help=f"{boot} (default: as at the last install, or what runs services on this host)",
    )  # fmt: skip
    parser.add_argument("--logrotate", action="store_true", help=logrotate)
    parser.add_argument("--receiver", action="store_true", help=receiver)


def _directory(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such directory; expected one that exists")
    return path
