"""The command line: one verb, what it prints, and its exit status.

0  done, or running         1  could not be done        2  bad usage or bad configuration
3  stopped (`--status`; the Linux Standard Base's number for it)
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__, config, report
from pattoo_mp.control.verbs import READY, Agent, own_command
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE: Final = 0
FAILED: Final = 1
BAD_USAGE: Final = 2
STOPPED: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    arguments = _parse(argv)
    try:
        status: int = arguments.verb(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read us went away, as `head` does. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return BAD_USAGE
    except PattooError as error:
        _complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return status


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage if it is not one."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.verb is None:
        parser.error("expected one of --start, --stop, --status, --restart, --foreground")
    if arguments.force and arguments.verb not in {_stop, _restart}:
        parser.error("--force goes with --stop or --restart")
    return arguments


def _start(_: argparse.Namespace) -> int:
    directory = config.config_directory()
    agent = Agent(config.load(directory).system_daemon_directory)
    # The control process runs elsewhere; it must find the configuration that was checked here.
    agent.start([*own_command(), "--foreground"], {config.VARIABLE: str(directory)})
    print(f"Daemon is running - {PROGRAM} (process {agent.pid})")
    return DONE


def _stop(arguments: argparse.Namespace) -> int:
    _agent().stop(force=arguments.force)
    print(f"Daemon is stopped - {PROGRAM}")
    return DONE


def _restart(arguments: argparse.Namespace) -> int:
    config.load(config.config_directory())  # what could not start is not stopped first
    _agent().stop(force=arguments.force)
    return _start(arguments)


def _status(_: argparse.Namespace) -> int:
    agent = _agent()
    pid = agent.pid
    if pid is None:
        print(f"Daemon is stopped - {PROGRAM}")
        return STOPPED
    try:
        lines = report.lines(agent.status())
    except OSError as error:
        lines = [f"  Control        process {pid} does not answer ({error.strerror or error})"]
    print("\n".join([f"Daemon is running - {PROGRAM}", *lines]))
    return DONE


def _foreground(arguments: argparse.Namespace) -> int:
    # The control process's own modules: no other verb needs them.
    from pattoo_mp import wiring  # noqa: PLC0415

    settings = config.load(config.config_directory())
    ready_fd: int | None = arguments.ready_fd
    wiring.run(settings, _ready(ready_fd), to_stderr=ready_fd is None)
    return DONE


def _ready(descriptor: int | None) -> Callable[[], None]:
    """What to do once polls flow: tell the `--start` that waits, and let go of its terminal."""

    def tell() -> None:
        if descriptor is None:
            return
        os.write(descriptor, READY)
        os.close(descriptor)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)

    return tell


def _agent() -> Agent:
    return Agent(config.running_directory(config.config_directory()))


def _complain(problem: str) -> None:
    print(f"{PROGRAM}: error: {problem}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Reports this host's performance to a pattoo server.",
        epilog="The configuration is read from PATTOO_CONFIGDIR, or from /etc/pattoo.",
        allow_abbrev=False,
    )
    verbs = parser.add_mutually_exclusive_group()
    for name, verb, description in (
        ("--start", _start, "Start the agent daemon."),
        ("--stop", _stop, "Stop the agent daemon."),
        ("--status", _status, "Get daemon status."),
        ("--restart", _restart, "Restart the agent daemon."),
        ("--foreground", _foreground, "Run in the foreground, as supervisord and systemd want it."),
    ):
        verbs.add_argument(name, dest="verb", action="store_const", const=verb, help=description)
    parser.add_argument(
        "--force",
        action="store_true",
        help="Stops or restarts the agent daemon ungracefully when used with --stop or --restart.",
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    return parser
