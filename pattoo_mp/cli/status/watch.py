"""`--watch`: the status again and again, until Ctrl-C; an agent that ends may be back in a moment."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.status.ask import ask, exit_status

if TYPE_CHECKING:
    from pattoo_mp.cli.status.forms import Show
    from pattoo_mp.operate.agent import Agent

_PERIOD_S: Final = 1.0


def watch(agent: Agent, show: Show) -> int:
    """Ask and show once a second; the exit status is that of the last answer.

    Raises as `ask` does.
    """
    # Who is asked to end leaves the terminal as it was; a script in the background has SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    status = ask(agent)
    with suppress(KeyboardInterrupt):
        while True:
            show(status)
            time.sleep(_PERIOD_S)
            status = ask(agent)
    return exit_status(status)
