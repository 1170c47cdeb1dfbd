"""A look at the host as a document for a script: exact values, described by `schema.json` here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from pattoo_mp.doctor.polls import Answer, Figure, Look

#: It grows when a script that reads the document could no longer read it. What is only added
#: to the document leaves it as it is.
SCHEMA: Final = 1


def document(look: Look) -> dict[str, Any]:
    """What `--once --json` prints."""
    return {
        "schema": SCHEMA,
        "agent": {"program": PROGRAM, "version": __version__},
        "timestamp_ms": look.timestamp_ms,
        "host": dict(look.host),
        "families": [_family(answer) for answer in look.answers],
    }


def _family(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.table.name,
        "title": answer.table.title,
        "series": [_series(figure) for figure in answer.figures],
        "left_out": dict(answer.left_out),
    }


def _series(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "labels": dict(figure.labels),
        "value": figure.value,
        "unit": figure.unit,
        "data_type": figure.data_type,
    }
