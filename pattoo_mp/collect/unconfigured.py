"""What is polled where nothing is configured. The agent, which always has a configuration, has no need of it."""

from __future__ import annotations

from typing import Final

from pattoo_mp.collect.filters import Wanted
from pattoo_mp.config import settings

#: The original's series, and none beside them.
DEFAULT: Final = Wanted.of(settings.defaults())
