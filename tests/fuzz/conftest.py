"""Fixtures of the fuzz."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    """Keep the log of thousands of examples out of the report; some of its text no report can hold."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
