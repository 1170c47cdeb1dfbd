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
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pattoo_mp import __version__
from pattoo_mp.errors import PattooError, StartError
from pattoo_mp.receiver.decode import MAX_BODY_BYTES, PREFIX
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from pattoo_mp.receiver.table import table
from pattoo_mp.util.usage import OneLineParser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM: Final = "pattoo_mp_receiver"
DONE: Final = 0
FAILED: Final = 1

#: An agent, too, gives an exchange 30 s.
REQUEST_S: Final = 30
#: How often (s) the store seals, and looks for what is too old or too much.
_TIDY_S: Final = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.show is not None:
            return _show(arguments.database, arguments.show)
        return _serve(arguments)
    except PattooError as error:
        return _fail(str(error))
    except sqlite3.Error as error:
        return _fail(f"{arguments.database}: {error}")


def _show(database: Path, limit: int) -> int:
    with Reader(database) as reader:
        width = shutil.get_terminal_size().columns  # COLUMNS, the terminal's, or 80
        sys.stdout.write(f"{table(reader.latest(limit), width)}\n")
    return DONE


def _serve(arguments: argparse.Namespace) -> int:
    create_app, make_server = _http()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    max_body_bytes: int = arguments.max_body_bytes
    with (
        listen(arguments.host, arguments.port) as listening,
        Store(arguments.database) as store,
        Reader(arguments.database) as reader,
        tidying(store),
    ):
        app = create_app(store, reader, max_body_bytes=max_body_bytes)
        server = make_server(app, listening, max_body_bytes, arguments.request_seconds, PROGRAM)
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
                store.tidy(time.time_ns() // 1_000_000)
            except sqlite3.Error as error:
                logging.error("the store was not tidied: %s", error)  # noqa: TRY400 - said in one line

    thread = Thread(target=tidy, name="tidy")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _http() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Import what needs other packages, and set the title; `--show` works without them."""
    try:
        from setproctitle import setproctitle  # noqa: PLC0415 - as those below

        from pattoo_mp.receiver.app import create_app  # noqa: PLC0415 - optional
        from pattoo_mp.receiver.bounded import make_server  # noqa: PLC0415 - optional
    except ImportError as error:
        raise StartError(
            f'{error.name} is not installed; expected after: pip install "pattoo_mp[receiver]"'
        ) from error
    setproctitle("pattoo_mp receiver")
    return create_app, make_server


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


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Receives the posts of pattoo agents and keeps them in an SQLite database.",
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
        type=_integer(1, sys.maxsize),
        default=MAX_BODY_BYTES,
        help="larger posts are refused with status 413 (%(default)s)",
    )
    parser.add_argument(
        "--request-seconds",
        type=_integer(1, 3_600),
        default=REQUEST_S,
        metavar="SECONDS",
        help="close a connection whose request has not arrived whole by then (%(default)s)",
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
