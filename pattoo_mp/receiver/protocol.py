"""Where a pattoo server takes posts, and how great they may be."""

from __future__ import annotations

from typing import Final

#: Before `/receive/<agent_id>` and `/status`.
PREFIX: Final = "/pattoo/api/v1/agent"
#: The pattoo server takes a body of this size.
MAX_BODY_BYTES: Final = 200_000_000
