"""Reads remote write messages, without the agent's code."""

from __future__ import annotations

import struct
from typing import Any


def fields(content: bytes) -> list[tuple[int, Any]]:
    """Return the fields of a message: numbers with values, those of eight bytes as whole numbers."""
    found: list[tuple[int, Any]] = []
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(content):
        tag = number()
        kind = tag & 7
        if kind == 0:
            found.append((tag >> 3, number()))
        elif kind == 1:
            found.append((tag >> 3, struct.unpack_from("<Q", content, at)[0]))
            at += 8
        else:
            assert kind == 2
            length = number()
            found.append((tag >> 3, content[at : at + length]))
            at += length
    return found


def decoded(message: bytes) -> dict[tuple[tuple[str, str], ...], list[tuple[int, int]]]:
    """Return the samples of each series: times and the bits of values."""
    series: dict[tuple[tuple[str, str], ...], list[tuple[int, int]]] = {}
    for number, content in fields(message):
        if number != 1:
            continue
        parts = fields(content)
        labels = tuple(
            (dict(fields(part))[1].decode(), dict(fields(part))[2].decode())
            for which, part in parts
            if which == 1
        )
        assert labels not in series
        series[labels] = [
            (dict(fields(part))[2], dict(fields(part))[1]) for which, part in parts if which == 2
        ]
    return series
