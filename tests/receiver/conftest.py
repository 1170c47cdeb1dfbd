"""Fixtures: receivers that run as separate processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.receiver.process import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Start receivers with the given options; they are killed after the test."""
    made: list[Receiver] = []

    def make(*arguments: str) -> Receiver:
        made.append(Receiver(tmp_path, *arguments))
        return made[-1]

    yield make
    for receiver in made:
        receiver.end()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    """A receiver with the default options."""
    return make_receiver()
