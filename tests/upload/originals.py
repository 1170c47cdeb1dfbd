"""Unsent posts as the original agent leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "golden_post.json").read_text(encoding="utf-8")
)
AGENT_ID: str = GOLDEN["pattoo_agent_id"]
INTERVAL_MS = 300_000


def post(number: int = 0) -> dict[str, Any]:
    """The real post, with the time `timestamp(number)` in its datapoints."""
    copy: dict[str, Any] = json.loads(json.dumps(GOLDEN))
    for pair in copy["pattoo_datapoints"]["key_value_pairs"].values():
        if pair[0] == "pattoo_timestamp":
            pair[1] = timestamp(number)
    return copy


def timestamp(number: int) -> int:
    """The time of the datapoints of `post(number)`."""
    return 1_700_000_000_000 + number * INTERVAL_MS


def path(cache: Path, number: int) -> Path:
    """The path of its file."""
    return cache / AGENT_ID / f"{timestamp(number)}_{AGENT_ID}.json"


def keep(cache: Path, *numbers: int) -> list[Path]:
    """Store posts as the original does. Return their files."""
    for number in numbers:
        write(path(cache, number), json.dumps(post(number)).encode())
    return [path(cache, number) for number in numbers]


def write(file: Path, content: bytes) -> None:
    """Write a file of any name and content."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def names(cache: Path) -> list[str]:
    """All names in the agent's directory, with ID for the agent's id."""
    return sorted(file.name.replace(AGENT_ID, "ID") for file in (cache / AGENT_ID).iterdir())
