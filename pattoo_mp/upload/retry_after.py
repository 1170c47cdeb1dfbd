"""How long a server asks to be left alone: the header `Retry-After` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.http_date import http_date

if TYPE_CHECKING:
    from datetime import datetime

#: Whoever asks for more is believed so far: a wrong header must not silence an agent for days.
LONGEST_S: Final = 600.0

_SECONDS: Final = re.compile(r"[0-9]+")


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds to wait from `now`, at most `LONGEST_S`; 0 where the header says nothing usable."""
    text = (header or "").strip()
    asked = float(text) if _SECONDS.fullmatch(text) else _until(text, now)
    return min(LONGEST_S, max(0.0, asked))


def _until(text: str, now: datetime) -> float:
    moment = http_date(text)
    return 0.0 if moment is None else (moment - now).total_seconds()
