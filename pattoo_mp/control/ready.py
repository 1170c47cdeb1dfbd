"""What a control process says, on a descriptor of its own, to the `--start` that waits for it."""

from __future__ import annotations

from typing import Final

READY: Final = b"ready"
