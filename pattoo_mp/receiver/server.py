"""The command `pattoo_mp_receiver`: run the receiver, or print the newest datapoints it stored.

Exit status: 0 success, 1 failure, 2 bad usage.
"""

from __future__ import annotations

import argparse
import errno
import logging
import shutil
import signal
import socket
import sqlite3
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pattoo_mp import __version__
from pattoo_mp.errors import PattooError, StartError
from pattoo_mp.receiver import database
from pattoo_mp.receiver.decode import MAX_BODY_BYTES, PREFIX
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from pattoo_mp.receiver.table import table
from pattoo_mp.receiver.taking_over import take_over
from pattoo_mp.receiver.upkeep import DAY_MS, Limits
from pattoo_mp.util.units import exact_size, exact_time
from pattoo_mp.util.usage import OneLineParser, size_option, time_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

PROGRAM: Final = "pattoo_mp_receiver"
DONE: Final = 0
FAILED: Final = 1

#: An agent, too, gives an exchange 30 s.
REQUEST_S: Final = 30
#: How often (s) the store seals, and looks for what is too old or too much.
_TIDY_S: Final = 1.0
#: Of it, so much at most: with many agents the rest waits for the next second.
_TIDY_BUDGET_S: Final = 0.3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`; return the exit status."""
    arguments = command_parser().parse(argv)
    try:
        if arguments.make_token is not None:
            access, _, _ = _http()
            access.make_token(arguments.make_token)
            return DONE
        if arguments.show is not None:
            return _show(arguments.database, arguments.show)
        return _serve(arguments)
    except PattooError as error:
        return _fail(str(error))
    except sqlite3.Error as error:
        return _fail(f"{arguments.database}: {error}")


def _show(path: Path, limit: int) -> int:
    with Reader(path) as reader:
        width = shutil.get_terminal_size().columns  # COLUMNS, the terminal's, or 80
        sys.stdout.write(f"{table(reader.latest(limit), width)}\n")
    return DONE


def _serve(arguments: argparse.Namespace) -> int:
    access, app, bounded = _http()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    max_body_bytes: int = arguments.max_body_bytes
    limits = _limits(arguments)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(arguments.host, arguments.port))
        who = _who(access, arguments, listening)  # before a database is made, or taken over
        stack.enter_context(database.owned(arguments.database))
        store = stack.enter_context(_store(arguments.database, limits))
        reader = stack.enter_context(Reader(arguments.database))
        stack.enter_context(tidying(store))
        served = app.create_app(store, reader, access=who, max_body_bytes=max_body_bytes)
        server = bounded.make_server(
            served, listening, max_body_bytes, arguments.request_seconds // 1000, PROGRAM
        )
        logging.info("posts are stored in %s", arguments.database)
        sys.stdout.write(f"Listening on {_url(listening)}\n")
        sys.stdout.flush()
        server.run()
    return DONE


@contextmanager
def tidying(store: Store) -> Iterator[None]:
    """Tidy the store once a second, in a thread of its own, which ends with the block."""
    ended = Event()

    def tidy() -> None:
        while not ended.wait(_TIDY_S):
            try:
                store.tidy(time.time_ns() // 1_000_000, _TIDY_BUDGET_S)
            except (OSError, PattooError, sqlite3.Error) as error:
                logging.error("the store was not tidied: %s", error)  # noqa: TRY400 - said in one line
            except Exception:
                # Without this thread the store would grow without a bound.
                logging.exception("the store was not tidied")

    thread = Thread(target=tidy, name="tidy")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _store(path: Path, limits: Limits) -> Store:
    take_over(path, limits)
    return Store(path, limits)


def _limits(arguments: argparse.Namespace) -> Limits:
    kept_ms = (arguments.raw_days, arguments.minute_days, arguments.hour_days)
    return Limits(arguments.max_bytes, kept_ms, series=arguments.max_series)


def _who(access: ModuleType, arguments: argparse.Namespace, listening: socket.socket) -> Any:  # noqa: ANN401 - imported late
    """Who may use it. Raises `StartError` if others can reach it, and there is no token."""
    path = arguments.token_file
    if path is not None:
        token = access.read_token(path)
        logging.info("posts, queries and the page need the token in %s", path)
        return access.Access(token, arguments.host)
    if not access.is_loopback(listening.getsockname()[0]):
        raise StartError(
            f"--host {arguments.host}: others can reach it there, so it needs --token-file; "
            f"'{PROGRAM} --make-token FILE' makes one"
        )
    return access.Access(None, arguments.host)


def _http() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Import what needs other packages, and set the title: access, app, bounded. `--show` works without them."""
    try:
        from setproctitle import setproctitle  # noqa: PLC0415 - as those below

        from pattoo_mp.receiver import access, app, bounded  # noqa: PLC0415 - optional
    except ImportError as error:
        raise StartError(
            f'{error.name} is not installed; expected after: pip install "pattoo_mp[receiver]"'
        ) from error
    setproctitle("pattoo_mp receiver")
    return access, app, bounded


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first address of `host`; port 0 means any free port.

    Raises `StartError`, which names both and says what to do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # "localhost" has an IPv6 address even if IPv6 is disabled, so prefer IPv4.
        family, *_, address = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
        return socket.create_server(address, family=family)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            cause = (
                "it is in use; stop what uses it, or choose another with --port (0: any free one)"
            )
        else:
            cause = f"{error}; choose another with --host and --port"
        raise StartError(f"cannot listen on {host} port {port}: {cause}") from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown_host = f"[{host}]" if ":" in host else host
    return f"http://{shown_host}:{port}{PREFIX}"


def _end(_number: int, _frame: object) -> NoReturn:
    # waitress ends its loop on SystemExit; its threads finish their posts.
    raise SystemExit(DONE)


def _fail(problem: str) -> int:
    sys.stderr.write(f"{PROGRAM}: error: {problem}\n")
    return FAILED


def command_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Receives the posts of pattoo agents, keeps them in an SQLite database, and answers queries.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=_integer(0, 65_535),
        default=20201,
        help="port (%(default)s); 0: any free one",
    )
    parser.add_argument(
        "--database",
        type=Path,
        default=Path("pattoo_mp_receiver.sqlite"),
        help="database file (%(default)s), created if it does not exist",
    )
    parser.add_argument(
        "--max-body-bytes",
        type=size_option(1, sys.maxsize),
        default=MAX_BODY_BYTES,
        metavar="BYTES",
        help=f"larger posts are refused with status 413 ({exact_size(MAX_BODY_BYTES)})",
    )
    parser.add_argument(
        "--request-seconds",
        type=time_option(1000, 3_600_000, 1000, "a number of seconds from 1 to 3600", step_ms=1000),
        default=REQUEST_S * 1000,
        metavar="SECONDS",
        help=f"close a connection whose request has not arrived whole by then ({exact_time(REQUEST_S)})",
    )
    parser.add_argument(
        "--max-bytes",
        type=size_option(10_000_000, 2**50),
        default=Limits().max_bytes,
        metavar="BYTES",
        help="size of the database, such as 5GB; at the limit the oldest detail is removed "
        f"({exact_size(Limits().max_bytes)})",
    )
    for tier, words, retention_ms in zip(
        ("raw", "minute", "hour"),
        ("polls as they came", "minutes", "hours"),
        Limits().retention_ms,
        strict=True,
    ):
        parser.add_argument(
            f"--{tier}-days",
            type=time_option(DAY_MS, 36_500 * DAY_MS, DAY_MS, "a number of days from 1 to 36500"),
            default=retention_ms,
            metavar="DAYS",
            help=f"keep {words} for so long ({exact_time(retention_ms / 1000)})",
        )
    parser.add_argument(
        "--max-series",
        type=_integer(1, 1_000_000),
        default=Limits().series,
        metavar="N",
        help="series of one agent; more are not taken (%(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="private file with the token that posts, queries and the page need",
    )
    parser.add_argument(
        "--make-token", type=Path, metavar="FILE", help="write a new token to a new file and exit"
    )
    parser.add_argument(
        "--show",
        type=_integer(1, sys.maxsize),
        metavar="N",
        help="print the newest N datapoints and exit",
    )
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    return parser


def _integer(least: int, most: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text}: expected {least} to {most}")
        return number

    return integer
