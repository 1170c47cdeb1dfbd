"""The application's answer when the database fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pattoo_mp.receiver.app import create_app
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from flask.testing import FlaskClient


def post(client: FlaskClient, agent_id: str, sent: bytes) -> tuple[int, str]:
    """Send a post; return the answer's status and text."""
    path = f"/pattoo/api/v1/agent/receive/{agent_id}"
    answer = client.post(path, data=sent, content_type="application/json")
    return answer.status_code, answer.text


def test_a_full_disk_is_answered_with_500_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer and the log name the cause, nothing is half stored, and later posts are stored."""
    with Store(tmp_path / "db.sqlite") as store, Reader(store.path) as reader:
        client = create_app(store, reader).test_client()
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with caplog.at_level(logging.ERROR):
            assert post(client, GOLDEN_AGENT, GOLDEN) == (
                500,
                "not stored: database or disk is full",
            )
        assert "not stored: database or disk is full" in caplog.text
        assert reader.totals().posts == 0
        store._connection.execute("PRAGMA max_page_count = 100000")
        assert post(client, AGENT, body(point())) == (200, "OK")


def test_the_clock_is_the_one_passed_in(tmp_path: Path) -> None:
    """A post's time of arrival is that of the clock."""
    with Store(tmp_path / "db.sqlite") as store, Reader(store.path) as reader:
        client = create_app(store, reader, clock_ms=lambda: 77).test_client()
        post(client, AGENT, body(point()))
        assert reader.agents(77)[0]["heard_ms"] == 77


def test_damage_that_a_query_meets_is_answered_in_one_line_and_put_aside(tmp_path: Path) -> None:
    """The next query is answered from a new file."""
    path = tmp_path / "db.sqlite"
    with Store(path) as store, Reader(path) as reader:
        client = create_app(store, reader, clock_ms=lambda: TICK).test_client()
        for tick in range(40):
            points = (point(timestamp=TICK + tick, checksum=f"{n:064x}") for n in range(500))
            assert post(client, AGENT, body(*points)) == (200, "OK")
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content)):
        content[at] = 0xFF
    path.write_bytes(content)
    with Store(path) as store, Reader(path) as reader:
        client = create_app(store, reader, clock_ms=lambda: TICK).test_client()
        statuses = [
            client.get(f"/api/v1/range?series=1&from={TICK}&to={TICK + 40}").status_code
            for _ in range(2)
        ]
        assert statuses == [503, 404]
        assert store.put_aside is not None
