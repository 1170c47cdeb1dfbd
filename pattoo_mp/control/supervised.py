"""Who runs a control process: noted when it starts, so that a later command can ask for it.

Apart from `supervisor`, which talks to supervisord: XML-RPC costs 3 MB, and control never talks.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pattoo_mp.errors import AlreadyRunningError, where_and_why
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


_LOG = logging.getLogger(__name__)


def note_supervisor(path: Path, environment: Mapping[str, str]) -> None:
    """Note who runs this control process, for a later `--start` or `--stop`.

    Where the note cannot be written the agent polls all the same, and the log says what lacks.
    """
    try:
        _note(path, environment)
    except OSError as error:
        _LOG.warning(
            "%s; --start and --stop cannot ask the supervisor, which may start what they end.",
            where_and_why(error),
        )


@contextmanager
def noted_if_refused(path: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Note who runs this control process also where another one runs, that nobody's note speaks of.

    That one was started by hand. Whoever ends it has to end the supervisor's tries, too.
    """
    try:
        yield
    except AlreadyRunningError:
        with suppress(OSError):
            if not path.exists():
                _note(path, environment)
        raise


def _note(path: Path, environment: Mapping[str, str]) -> None:
    url = environment.get("SUPERVISOR_SERVER_URL")
    process = environment.get("SUPERVISOR_PROCESS_NAME")
    if not url or not process:
        path.unlink(missing_ok=True)
        return
    group = environment.get("SUPERVISOR_GROUP_NAME", process)
    files.make_directory(path.parent)
    files.replace_file(path, json.dumps({"url": url, "name": f"{group}:{process}"}))
