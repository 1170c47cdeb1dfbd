"""What `--check` found as a document for a script, described by `schema.json` here: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pattoo_mp.cli.check.checked import Checked
    from pattoo_mp.config.load import Found
    from pattoo_mp.doctor.server import Asked

#: It grows when a script that reads the document could no longer read it. What is only added
#: to the document leaves it as it is.
SCHEMA: Final = 1


def document(checked: Checked) -> dict[str, Any]:
    """What `--check --json` prints."""
    return {
        "schema": SCHEMA,
        "directory": str(checked.directory),
        "settings": [_setting(checked, found) for found in checked.reading.found],
        "directories": [
            {"path": str(path), "is_there": state.is_there, "problem": state.problem}
            for path, state in checked.states.items()
        ],
        "server": None if checked.server is None else _server(checked.server),
        "other_servers": [_server(asked) for asked in checked.other_servers],
        "notes": list(checked.reading.notes),
        "problems": list(checked.problems),
    }


def _setting(checked: Checked, found: Found) -> dict[str, Any]:
    value = checked.in_force(found)
    return {
        "file": found.path.name,
        "section": found.setting.section,
        "name": found.setting.name,
        # A wrong one may be anything that YAML can say, a date for example.
        "value": value if isinstance(value, (str, int, float, bool, type(None))) else str(value),
        "is_set": found.is_set,
    }


def _server(asked: Asked) -> dict[str, Any]:
    return {
        "url": asked.url,
        "error": asked.error,
        "round_trip_s": round(asked.round_trip_s, 6),
    }
