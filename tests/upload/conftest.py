"""What tests of delivery and of the original's posts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.upload.moody import MoodyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def moody() -> Iterator[MoodyServer]:
    """A server that accepts everything until a test changes its mood."""
    running = MoodyServer()
    yield running
    running.close()
