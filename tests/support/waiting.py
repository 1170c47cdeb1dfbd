"""Wait for a condition with a time limit, instead of sleeping for a fixed time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], seconds: float = 60.0, what: str = "") -> T:
    """Return the first true answer of `condition`. Fail the test if there is none in time."""
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= until:
            raise AssertionError(f"{what or 'the condition'} did not come within {seconds} s")
        time.sleep(0.01)
