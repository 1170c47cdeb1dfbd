"""Times that the agent keeps, and that others count on."""

from __future__ import annotations

from typing import Final

#: A stop takes no longer (s), whatever hangs. supervisord's stopwaitsecs must be above it.
STOP_S: Final = 10.0
