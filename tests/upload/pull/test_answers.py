"""Answers from memory, whatever is asked and however often."""

from __future__ import annotations

import tracemalloc
from collections import deque
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from pattoo_mp.model import INTEGER, Series
from pattoo_mp.upload.pull.access import Access
from pattoo_mp.upload.pull.answers import Answers
from pattoo_mp.upload.pull.http import RefusedError, Request
from pattoo_mp.upload.pull.pages import Shown
from pattoo_mp.upload.pull.places import Places
from pattoo_mp.upload.pull.server import Connection
from tests.support.spools import AMPLE, open_spool
from tests.upload.pull.test_pages import ORIGIN, OUTPUT, poll_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.model import Layout, Poll
    from pattoo_mp.upload.pull.answers import Job

SERIES: Final = [Series(f"key_{number}", INTEGER) for number in range(50)]


class Asked:
    """The answers of an output, and what asks them. `jobs` wait for the output's thread."""

    def __init__(self, spool: Any) -> None:  # noqa: ANN401 - a spool
        self.jobs: deque[Job] = deque()
        self.healths = 0
        self.answers = Answers(
            OUTPUT,
            ORIGIN,
            Places(spool, OUTPUT.name, lambda *_: None),
            Access(OUTPUT),
            interval_ms=lambda: 1000,
            ask_troubles=self._troubles,
            later=lambda _, job: self.jobs.append(job),
        )

    def _troubles(self) -> list[str]:
        self.healths += 1
        return []

    def show(self, layout: Layout, poll: Poll) -> None:
        """Show a poll."""
        self.answers.show({layout.interval_ms: Shown(layout, poll)}, [layout.interval_ms])

    def get(self, path: str, method: str = "GET", **headers: str) -> Any:  # noqa: ANN401 - an answer, or None
        """The answer to a request of this host."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection = Connection(cast("Any", None), "127.0.0.1", "127.0.0.1", 0)
        return self.answers.handle(Request(method, path, headers=named), connection)


@pytest.fixture
def asked(home: Path) -> Iterator[Asked]:
    """An output with a spool."""
    spool = open_spool(home / "spool.sqlite", AMPLE, outputs=[OUTPUT.name])
    yield Asked(spool)
    spool.close()


def test_pages_for_any_number_of_intervals_take_little_memory(asked: Asked) -> None:
    """Each is another page, and everybody may ask for them at a spoke as the original."""
    asked.show(*poll_of(SERIES, [1] * len(SERIES)))
    size = len(asked.get("/pattoo-agent-os/1", accept_encoding="gzip").body)
    tracemalloc.start()
    try:
        for interval_s in range(1, 200):
            page = asked.get(f"/pattoo-agent-os/{interval_s}", accept_encoding="gzip")
            assert page.headers["Content-Encoding"] == "gzip"
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100 * size


def test_control_is_asked_once_for_all_who_wait(asked: Asked) -> None:
    """If it does not answer, each question takes long, and hubs would wait for all of them."""
    for _ in range(5):
        assert asked.get("/healthz") is None
    assert {job().status for job in asked.jobs} == {HTTPStatus.OK}
    assert asked.healths == 1
    assert asked.get("/healthz").status == HTTPStatus.OK


@pytest.mark.parametrize("path", ["/pattoo-agent-os/5", "/metrics"])
def test_a_damaged_poll_is_a_503(asked: Asked, path: str) -> None:
    """With the reason, and not the end of the server."""
    layout, poll = poll_of(SERIES, [1] * len(SERIES))
    asked.show(layout, replace(poll, packed=b"\x91\x01"))
    with pytest.raises(RefusedError) as caught:
        asked.get(path)
    assert caught.value.answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert b"a poll of 1 values for a layout of 50 series" in caught.value.answer.body


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_path_is_a_404_by_any_method(asked: Asked, method: str) -> None:
    """A 405 would say that the others are taken there."""
    with pytest.raises(RefusedError) as caught:
        asked.get("/x", method)
    assert caught.value.answer.status == HTTPStatus.NOT_FOUND
