"""Who runs a control process: noted when it starts, so that a later command can ask for it.

Apart from `supervisor`, which talks to supervisord: XML-RPC costs 3 MB, and control never talks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pattoo_mp import private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def note_supervisor(path: Path, environment: Mapping[str, str]) -> None:
    """Note who runs this control process, for a later `--start` or `--stop`."""
    url = environment.get("SUPERVISOR_SERVER_URL")
    process = environment.get("SUPERVISOR_PROCESS_NAME")
    if not url or not process:
        path.unlink(missing_ok=True)
        return
    group = environment.get("SUPERVISOR_GROUP_NAME", process)
    private.make_directory(path.parent)
    private.replace_file(path, json.dumps({"url": url, "name": f"{group}:{process}"}))
