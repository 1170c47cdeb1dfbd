"""Bodies of posts for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AGENT = "a53c" * 16
TICK = 1_700_000_000_000

GOLDEN = (Path(__file__).parents[1] / "data" / "golden_post.json").read_bytes()
GOLDEN_AGENT: str = json.loads(GOLDEN)["pattoo_agent_id"]


def point(**changes: object) -> dict[str, object]:
    """The pairs of a whole datapoint, with changes; the prefix `pattoo_` may be left out."""
    pairs: dict[str, object] = {
        "pattoo_agent_polling_interval": "300000",
        "pattoo_agent_hostname": "host",
        "pattoo_agent_id": AGENT,
        "pattoo_agent_polled_target": "host",
        "pattoo_agent_program": "program",
        "pattoo_key": "load",
        "pattoo_data_type": 99,
        "pattoo_value": 1,
        "pattoo_timestamp": TICK,
        "pattoo_checksum": "c0" * 32,
    }
    for name, value in changes.items():
        pairs[next((key for key in pairs if key.removeprefix("pattoo_") == name), name)] = value
    return pairs


def content(*points: dict[str, object], envelope_ms: int = TICK) -> dict[str, Any]:
    """A post of `points`, none of which share a pair."""
    pairs: dict[str, list[object]] = {}
    rows: list[list[int]] = []
    for each in points:
        rows.append([])
        for key, value in each.items():
            rows[-1].append(len(pairs))
            pairs[str(len(pairs))] = [key, value]
    return {
        "pattoo_agent_timestamp": envelope_ms,
        "pattoo_agent_id": AGENT,
        "pattoo_agent_polling_interval": 300_000,
        "pattoo_datapoints": {"key_value_pairs": pairs, "datapoint_pairs": rows},
    }


def body(*points: dict[str, object], envelope_ms: int = TICK) -> bytes:
    """`content` as the body of a request."""
    return json.dumps(content(*points, envelope_ms=envelope_ms)).encode()
