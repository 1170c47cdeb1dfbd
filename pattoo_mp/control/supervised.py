"""Who runs a control process: noted when it starts, so that a later command can ask for it.

Apart from `supervisor`, which talks to supervisord: XML-RPC costs 3 MB, and control never talks.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from pattoo_mp import private
from pattoo_mp.errors import where_and_why

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def _note(path: Path, environment: Mapping[str, str]) -> None:
    url = environment.get("SUPERVISOR_SERVER_URL")
    process = environment.get("SUPERVISOR_PROCESS_NAME")
    if not url or not process:
        path.unlink(missing_ok=True)
        return
    group = environment.get("SUPERVISOR_GROUP_NAME", process)
    private.make_directory(path.parent)
    private.replace_file(path, json.dumps({"url": url, "name": f"{group}:{process}"}))
