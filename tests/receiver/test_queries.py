"""The queries over HTTP: what the description says, for good and bad input; never a server's error."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point
from tests.receiver.process import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of today: what is older is sealed sooner.
NOW = time.time_ns() // 1_000_000_000 * 1000 - 600_000
#: Metadata as a hostile agent may send it.
HOSTILE = ["<script>alert(1)</script>", "\u202eabc", "x" * 500, "\0\x1b[2J", "%s' OR 1=1 --"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver that has some series of two agents."""
    receiver = Receiver(tmp_path_factory.mktemp("queries"))
    try:
        assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200
        for tick in range(30):
            points = [
                point(
                    timestamp=NOW + 1000 * tick, value=tick * 1.5, agent_polling_interval="1000",
                    checksum=f"{n:064x}", disk=text, data_type=101,
                )
                for n, text in enumerate(HOSTILE)
            ]  # fmt: skip
            text = point(key="release", data_type=2, value=HOSTILE[0], checksum="ee" * 32)
            sent = body(*points, text, envelope_ms=NOW + tick)
            assert receiver.post(AGENT, sent).status == 200
        yield receiver
    finally:
        receiver.end()


OPERATIONS = ("/agents", "/series", "/range", "/newest", "/health", "/openapi.json")


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        *((path, GenerationMode.POSITIVE) for path in OPERATIONS),
        # The others have no parameters that could be wrong.
        *((path, GenerationMode.NEGATIVE) for path in ("/series", "/range", "/newest")),
    ],
)
def test_answers_are_as_described(filled: Receiver, path: str, mode: GenerationMode) -> None:
    """Whatever is asked: a status, a content type and a content that the description has."""
    url = f"http://{filled.host}:{filled.port}/api/v1"
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[path]["GET"]

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def ask_anything(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(
            base_url=url,
            # `from` has to be before `to`, and a series has to exist: a description cannot say so.
            excluded_checks=[CHECKS.get_one("positive_data_acceptance")],  # type: ignore[list-item]
        )

    ask_anything()


def ask(receiver: Receiver, path: str) -> dict[str, Any]:
    """Ask a query, which is answered."""
    answer = receiver.get(f"/api/v1/{path}")
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.text)
    return found


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("range?series=1", 400, "from: missing"),
        ("range?from=1", 400, "series: missing"),
        ("range?series=1&from=5&to=5", 400, "expected less than 5"),
        ("range?series=1&from=x", 400, "from: 'x', expected an integer"),
        ("range?series=1&from=1&points=1", 400, "points: '1', expected an integer from 2 to 5000"),
        ("range?series=1&from=1&from=2", 400, "from: given more than once"),
        ("range?series=1&from=1&width=2", 400, "'width': no such parameter"),
        ("range?series=1,&from=1", 400, "ids separated by commas"),
        ("range?series=999&from=1", 404, "there is no series 999"),
        ("newest", 400, "expected series or agent"),
        ("newest?agent=99", 404, "there is no agent 99"),
        ("series?limit=99999999999999999999", 400, "limit"),
        (f"series?words={'x' * 201}", 400, "words: 201 characters"),
        ("agents?x=1", 400, "expected none"),
        ("nothing", 404, ""),
        ("%00", 404, ""),
    ],
)
def test_bad_input_is_answered_in_one_line(
    filled: Receiver, path: str, status: int, words: str
) -> None:
    """The line names the parameter, and what was expected."""
    answer = filled.get(f"/api/v1/{path}")
    assert (answer.status, words in answer.text) == (status, True), answer
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(answer.text.splitlines()) == 1


def test_only_get_is_allowed(filled: Receiver) -> None:
    """The queries are read-only."""
    for method in ("POST", "PUT", "DELETE"):
        assert filled.ask_path(method, "/api/v1/agents").status == 405


def test_series_are_found_by_words(filled: Receiver) -> None:
    """All words, somewhere in host, key or metadata, in upper or lower case."""
    assert ask(filled, "series?words=NETWORK+bytes_recv")["total"] == 4
    assert ask(filled, "series?words=network+nonsense")["total"] == 0
    found = ask(filled, "series?words=disk%3D%3CSCRIPT")
    assert found["total"] == 1
    assert found["series"][0]["newest"] == 43.5
    pages = [ask(filled, f"series?limit=2&offset={n}")["series"] for n in (0, 2)]
    assert len({series["id"] for page in pages for series in page}) == 4


def test_hostile_metadata_comes_back_as_it_was(filled: Receiver) -> None:
    """As JSON, which a browser does not take for a page."""
    answer = filled.get("/api/v1/series?limit=5000")
    assert answer.headers["Content-Type"] == "application/json"
    found = {series["metadata"].get("disk") for series in json.loads(answer.text)["series"]}
    assert set(HOSTILE) <= found


def test_a_page_follows_new_values_by_a_cursor(filled: Receiver) -> None:
    """It gets each poll once, and an empty answer if there is none."""
    number = ask(filled, "series?words=disk%3Dx")["series"][0]["id"]
    first = ask(filled, f"newest?series={number}")
    assert [poll["values"] for poll in first["polls"]] == [[43.5]]
    cursor = first["cursor"]
    assert ask(filled, f"newest?series={number}&since={cursor}")["polls"] == []
    for tick in (40, 41):
        new = point(timestamp=NOW + 1000 * tick, value=tick, checksum=f"{2:064x}", disk=HOSTILE[2])
        filled.post(AGENT, body(new, envelope_ms=NOW + tick))
    followed = ask(filled, f"newest?series={number}&since={cursor}")
    assert [poll["values"] for poll in followed["polls"]] == [[40.0], [41.0]]
    assert not followed["behind"]
    assert ask(filled, f"newest?series={number}&since=0")["behind"]
    everything = ask(filled, f"newest?agent={followed['polls'][0]['agent']}&since={cursor}")
    assert len(everything["polls"]) == 2


def test_health_has_the_receivers_own_figures(filled: Receiver) -> None:
    """What it stored, what it takes, and its limits."""
    refused = ask(filled, "health")["refused_posts"]
    assert filled.post(AGENT, b"{").status == 500
    health = ask(filled, "health")
    assert (health["state"], health["reason"]) == ("well", "")
    assert health["refused_posts"] == refused + 1
    assert health["samples"] >= 245
    assert health["bytes"] < health["max_bytes"] == 2_000_000_000
    assert [tier["name"] for tier in health["tiers"]] == ["raw", "minute", "hour"]
    assert health["memory_bytes"] > 10_000_000


def test_the_description_has_all_queries() -> None:
    """Each query that there is, and no other."""
    path = Path(__file__).parents[2] / "pattoo_mp" / "receiver" / "openapi.json"
    assert set(json.loads(path.read_text())["paths"]) == set(OPERATIONS)


@pytest.mark.parametrize("interval_ms", [2**53, 2**63 - 1])
def test_a_range_of_a_series_with_a_huge_interval_is_answered(
    receiver: Receiver, interval_ms: int
) -> None:
    """A post may say that it polls every million years."""
    sent = body(point(agent_polling_interval=str(interval_ms)))
    assert receiver.post(AGENT, sent).status == 200
    number = json.loads(receiver.get("/api/v1/series").text)["series"][0]["id"]
    answer = receiver.get(f"/api/v1/range?series={number}&from={TICK - 1_000}&to={TICK + 1_000}")
    assert answer.status == 200
    assert sum(json.loads(answer.text)["series"][0]["count"]) == 1
