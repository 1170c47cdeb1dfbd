"""Lines and records for the tests of the log."""

from __future__ import annotations

import logging

from pattoo_mp.log.line import Line


def line(text: str, level: int = logging.WARNING, **fields: str | float) -> Line:
    """Return the line that a record with this text becomes."""
    made = {"created": 0.0, "kind": text, **fields}
    return Line(level=level, logger="pattoo_mp.test", text=text, **made)  # type: ignore[arg-type]


def record(message: str, *args: object, **attributes: object) -> logging.LogRecord:
    """Return the record that a logging call makes."""
    fields = {
        "name": "pattoo_mp.test", "levelno": logging.WARNING, "levelname": "WARNING",
        "msg": message, "args": args, **attributes,
    }  # fmt: skip
    return logging.makeLogRecord(fields)
