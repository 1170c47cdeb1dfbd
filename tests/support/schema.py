"""The schema of the status, stricter than the shipped one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import pattoo_mp.control

PATH = Path(pattoo_mp.control.__file__).parent / "status.schema.json"
SCHEMA: dict[str, Any] = json.loads(PATH.read_text())


def check(status: dict[str, Any]) -> None:
    """Assert that the status is valid and has no field that the schema does not describe."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(_closed(SCHEMA)).validate(status)


def _closed(schema: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the schema without permission for other fields.

    The shipped schema allows them, because a later release may add some.
    """
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        closed["unevaluatedProperties"] = False
    return closed
