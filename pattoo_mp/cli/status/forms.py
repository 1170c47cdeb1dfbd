"""In which form a status is shown: as JSON, as plain text, or laid out on a terminal.

Only a terminal needs the library that lays it out, so only then is it imported: a monitoring system
that asks every minute should not pay for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pattoo_mp.cli.status import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

Show = Callable[[dict[str, Any]], None]


def once(*, as_json: bool) -> Show:
    """What shows one answer."""
    if as_json:
        return lambda status: print(json.dumps(status, indent=2))
    if _is_able_terminal():
        return _print_laid_out
    return lambda status: print(plain.report(status))


@contextmanager
def again_and_again(*, as_json: bool) -> Iterator[Show]:
    """What shows one answer after the other: in place on a terminal, else a line for each."""
    if as_json:
        yield lambda status: print(json.dumps(status), flush=True)
    elif _is_able_terminal():
        from pattoo_mp.cli.status.screen import Screen  # noqa: PLC0415

        with Screen() as screen:
            yield screen.show
    else:
        yield lambda status: print(plain.line(status), flush=True)


def _print_laid_out(status: dict[str, Any]) -> None:
    from pattoo_mp.cli.status.screen import print_report  # noqa: PLC0415

    print_report(status)


def _is_able_terminal() -> bool:
    """Whether this is a terminal that can do more than to print one line after the other."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
