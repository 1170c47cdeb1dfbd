"""Checks the answer of a status socket, once, where it is read.

Root's command may ask an agent whose user an attacker controls. What has passed this check
can be shown and computed with: it has the keys and the types of `status.schema.json`, and no number
that a date, a duration or a terminal could not take. Unknown keys may hold anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pattoo_mp import control
from pattoo_mp.errors import StatusError

_FILE: Final = Path(control.__file__).with_name("status.schema.json")
#: Larger than any count, and still a number of 64 bits.
_LARGEST: Final = 2**63 - 1
_NAMES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}

Schema = dict[str, Any]


def check(status: dict[str, Any], path: Path) -> None:
    """Check the answer of a running agent on the socket `path`.

    Raises `StatusError`, which names the key.
    """
    try:
        _check(status)
    except StatusError as error:
        raise StatusError(f"{path}: {error}") from None


def _check(status: dict[str, Any]) -> None:
    schema: Schema = json.loads(_FILE.read_text(encoding="utf-8"))
    found, expected = status.get("schema"), schema["properties"]["schema"]["const"]
    if found != expected:
        raise StatusError(
            f"the status has schema {_shown(found)}; expected {expected}: the running agent is of another "
            "release, use --restart"
        )
    if status.get("state") != "running":
        raise _wrong("state", status.get("state"), "'running'")
    checker = _Checker(schema["$defs"])
    checker.check(status, schema, "")
    for part in schema["allOf"]:
        if part["if"]["properties"]["state"]["const"] == "running":
            checker.check(status, part["then"], "")


class _Checker:
    """Checks values by the part of JSON Schema that our schema uses."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def check(self, value: Any, schema: Schema, where: str) -> None:  # noqa: ANN401 - JSON
        """Raise `StatusError` if `value`, the one of the key `where`, is not as `schema` says."""
        if "$ref" in schema:
            self.check(value, self._definitions[schema["$ref"].rpartition("/")[2]], where)
        for part in schema.get("allOf", ()):
            if "if" not in part:
                self.check(value, part, where)
        _check_type(value, schema, where)
        if isinstance(value, dict):
            self._check_keys(value, schema, where)
        elif isinstance(value, list) and "items" in schema:
            for item in value:
                self.check(item, schema["items"], f"an item of {where}")

    def _check_keys(self, value: dict[str, Any], schema: Schema, where: str) -> None:
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                raise StatusError(
                    f"the status has no {_below(where, name)}; expected a status of this release: use "
                    "--restart"
                )
        for name, inner in value.items():
            if name in known:
                self.check(inner, known[name], _below(where, name))
            elif "additionalProperties" in schema:
                self.check(inner, schema["additionalProperties"], f"a value of {where}")


def _check_type(value: Any, schema: Schema, where: str) -> None:  # noqa: ANN401 - JSON
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        types = tuple(kind for name in names for kind in _NAMES[name])
        is_bool = isinstance(value, bool) and bool not in types  # in Python it is an integer
        if is_bool or not isinstance(value, types):
            raise _wrong(where, value, " or ".join(names))
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum", -_LARGEST), schema.get("maximum", _LARGEST)
        if not least <= value <= most:  # nor is NaN, or an infinity, which Python's JSON has
            raise _wrong(where, value, "a possible number")


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(where: str, value: Any, expected: str) -> StatusError:  # noqa: ANN401 - JSON
    return StatusError(
        f"the status is damaged: {where} is {_shown(value)}; expected {expected}. Use --restart"
    )


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON
    """A short text for any value. An integer may have too many digits to be shown."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a huge number"
    return repr(value)[:40]
