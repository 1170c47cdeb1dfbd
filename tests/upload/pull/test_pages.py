"""The pages of the newest poll, beside those of the original spoke and of node_exporter."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from hashlib import sha256
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY
from pattoo_mp.config.values import NO_FILES, PULL, Output
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Origin, Poll, Series, Value, now_ms
from pattoo_mp.program import SPOKE
from pattoo_mp.upload.pull import pages
from pattoo_mp.upload.pull.pages import Newest, Shown
from pattoo_mp.wire.checksum import NOT_HASHED
from pattoo_mp.wire.encode import encode
from tests.support.sources import BY_DEFAULT, sources_of
from tests.wire.posts import pair_lists

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A page of the original, as it came.
CAPTURED_PAGE: Final = (Path(__file__).parents[2] / "data" / "spoke_page.json").read_bytes()
CAPTURED: Final = json.loads(CAPTURED_PAGE)
AGENT_ID: Final = CAPTURED["pattoo_agent_id"]
ORIGIN: Final = Origin(AGENT_ID, "spoke.example.org", SPOKE.name)
OUTPUT: Final = Output(PULL, PULL, (), NO_FILES)
#: What each datapoint has beside its metadata.
OWN: Final = {
    "pattoo_agent_polling_interval", "pattoo_agent_hostname", "pattoo_agent_id",
    "pattoo_agent_polled_target", "pattoo_agent_program", "pattoo_key", "pattoo_data_type",
    "pattoo_value", "pattoo_timestamp", "pattoo_checksum",
}  # fmt: skip


def newest(*polls: tuple[Layout, Poll]) -> Newest:
    """The pages of these polls."""
    found = Newest(OUTPUT, AGENT_ID)
    found.show({layout.interval_ms: Shown(layout, poll) for layout, poll in polls}, [])
    return found


def poll_of(
    series: Sequence[Series], values: Sequence[Value], interval_ms: int = 1000, time_ms: int = 0
) -> tuple[Layout, Poll]:
    """A poll of these series, made now."""
    layout = Layout(ORIGIN, interval_ms, tuple(series))
    return layout, Poll.of(layout, time_ms or now_ms(), values)


def captured_series() -> tuple[list[Series], list[Value]]:
    """The series of the captured page, and their values."""
    series, values = [], []
    for pairs in pair_lists(CAPTURED_PAGE):
        own = dict(pairs)
        metadata = tuple((key, value) for key, value in pairs if key not in OWN)
        series.append(Series(own["pattoo_key"], own["pattoo_data_type"], metadata))
        values.append(own["pattoo_value"])
    return series, values


def comparable(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A datapoint without its time; what is not of the same origin, too."""
    return {key: value for key, value in pairs if key != "pattoo_timestamp"}


def test_the_page_of_the_captured_host_is_the_captured_page() -> None:
    """Structure, keys, types, metadata, program and checksums; only the times of datapoints are the poll's."""
    series, values = captured_series()
    hostname = dict(pair_lists(CAPTURED_PAGE)[0])["pattoo_agent_hostname"]
    layout = Layout(Origin(AGENT_ID, hostname, SPOKE.name), 10_000, tuple(series))
    page = newest((layout, Poll.of(layout, now_ms(), values))).page(5)
    assert page is not None
    assert page.endswith(b"\n")
    ours = json.loads(page)
    assert set(ours) == set(CAPTURED)
    assert set(ours["pattoo_datapoints"]) == set(CAPTURED["pattoo_datapoints"])
    for key in ("pattoo_agent_id", "pattoo_agent_polling_interval"):
        assert ours[key] == CAPTURED[key]
    assert isinstance(ours["pattoo_agent_timestamp"], int)
    by_checksum = {dict(p)["pattoo_checksum"]: comparable(p) for p in pair_lists(page)}
    expected = {dict(p)["pattoo_checksum"]: comparable(p) for p in pair_lists(CAPTURED_PAGE)}
    assert len(expected) == len(pair_lists(CAPTURED_PAGE))
    assert by_checksum == expected
    assert "release" in NOT_HASHED


def checksum_of(own: dict[str, Any]) -> str:
    """The checksum of a datapoint by the rule of the server's library, from what was sent alone."""
    digest = sha256((own["pattoo_key"] + str(own["pattoo_data_type"])).encode()).hexdigest()
    origin = [f"pattoo_agent_{name}" for name in ("hostname", "id", "polled_target", "program")]
    for key in [*(k for k in own if k not in OWN and k not in NOT_HASHED), *origin]:
        digest = sha256((digest + key + str(own[key])).encode()).hexdigest()
    return digest


#: Names as hosts have them: of files, devices and themselves.
NAMES: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)


@given(st.data(), NAMES, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(1, 9999))
@settings(deadline=None, max_examples=30)
def test_the_page_of_any_host_is_as_the_captured_one(
    data: st.DataObject, hostname: str, agent_id: str, interval_s: int
) -> None:
    """Each datapoint has the keys of the captured one, in its order of metadata, and the checksum of the rule."""
    series, _ = captured_series()
    some = data.draw(st.lists(st.sampled_from(series), min_size=1, max_size=8))
    renamed = [
        Series(one.key, one.data_type, tuple((key, data.draw(NAMES)) for key, _ in one.metadata))
        for one in some
    ]
    layout = Layout(Origin(agent_id, hostname, SPOKE.name), 10_000, tuple(renamed))
    values = data.draw(st.lists(st.integers(0, 2**63), min_size=len(some), max_size=len(some)))
    shown = Newest(OUTPUT, agent_id)
    shown.show({10_000: Shown(layout, Poll.of(layout, now_ms(), values))}, [])
    page = shown.page(interval_s)
    assert page is not None
    captured = {own["pattoo_key"]: own for own in map(dict, pair_lists(CAPTURED_PAGE))}
    points = [dict(pairs) for pairs in pair_lists(page)]
    assert [p["pattoo_key"] for p in points] == [one.key for one in some]
    assert [p["pattoo_value"] for p in points] == values
    for own in points:
        expected = captured[own["pattoo_key"]]
        assert own.keys() == expected.keys()
        assert [k for k in own if k not in OWN] == [k for k in expected if k not in OWN]
        assert {k: type(v) for k, v in own.items() if k != "pattoo_value"} == {
            k: type(v) for k, v in expected.items() if k != "pattoo_value"
        }
        assert own["pattoo_checksum"] == checksum_of(own)
    assert all(own["pattoo_checksum"] == checksum_of(own) for own in captured.values())


def test_this_host_has_the_series_of_an_original_and_no_others() -> None:
    """By key: each with the metadata and the type of the original's, on any host."""
    layout, poll = Poller(BY_DEFAULT, ORIGIN, 10_000).poll(now_ms())
    page = newest((layout, poll)).page(300)
    assert page is not None
    shapes = {
        own["pattoo_key"]: (own["pattoo_data_type"], tuple(key for key in own if key not in OWN))
        for own in map(dict, pair_lists(page))
    }
    originals = {
        own["pattoo_key"]: (own["pattoo_data_type"], tuple(key for key in own if key not in OWN))
        for own in map(dict, pair_lists(CAPTURED_PAGE))
    }
    common = shapes.keys() & originals.keys()
    assert len(common) > 40
    assert {key: shapes[key] for key in common} == {key: originals[key] for key in common}


@given(st.integers(1, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
@settings(deadline=None, max_examples=20)
def test_the_interval_is_that_of_who_asks(interval_s: int, groups: list[int]) -> None:
    """In the envelope and, as text, in each datapoint, whatever interval the groups are polled at."""
    polls = [
        poll_of([Series(f"key_{number}", INTEGER)], [number], 1000 * number) for number in groups
    ]
    page = newest(*polls).page(interval_s)
    assert page is not None
    found = json.loads(page)
    assert found["pattoo_agent_polling_interval"] == interval_s * 1000
    points = [dict(pairs) for pairs in pair_lists(page)]
    assert {p["pattoo_agent_polling_interval"] for p in points} == {str(interval_s * 1000)}
    assert {p["pattoo_key"] for p in points} == {f"key_{number}" for number in groups}


def test_an_interval_of_0_is_answered_without_data() -> None:
    """As the original does."""
    page = newest(poll_of([Series("a", INTEGER)], [1])).page(0)
    assert page is not None
    found = json.loads(page)
    assert found["pattoo_agent_polling_interval"] == 0
    assert found["pattoo_datapoints"] == {"datapoint_pairs": [], "key_value_pairs": {}}


def test_a_page_is_made_once_a_poll() -> None:
    """Who asks again gets the same bytes; the next poll has a later envelope."""
    shown = newest(poll_of([Series("a", INTEGER)], [1]))
    first = shown.page(10)
    assert shown.page(10) is first
    assert shown.metrics(openmetrics=False) is shown.metrics(openmetrics=False)
    layout, poll = poll_of([Series("a", INTEGER)], [2])
    shown.show({1000: Shown(layout, poll)}, [])
    second = shown.page(10)
    assert first is not None
    assert second is not None
    before, after = json.loads(first), json.loads(second)
    assert before["pattoo_agent_timestamp"] < after["pattoo_agent_timestamp"]


def test_a_page_for_another_interval_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for many costs no more than who asks for one."""
    made = []

    def counting(*given: Any) -> bytes:  # noqa: ANN401 - as `encode` takes them
        made.append(given)
        return encode(*given)

    monkeypatch.setattr(pages, "encode", counting)
    shown = newest(poll_of([Series("a", INTEGER, (("b", "1000"),))], [1000]))
    found = [shown.page(interval_s) for interval_s in (1, 10, 100, 1000, 10, 1)]
    assert len(set(found)) == 4
    assert len(made) == 1


def test_polls_of_other_origins_are_not_shown() -> None:
    """An original hub takes one agent a page; the polls of a hub are for `/pattoo-mp`."""
    layout = Layout(Origin("f" * 64, "other"), 1000, (Series("a", INTEGER),))
    shown = newest((layout, Poll.of(layout, now_ms(), [1])))
    assert (shown.page(10), shown.metrics(openmetrics=False)) == (None, None)


# --- for Prometheus


def text_of(shown: Newest, *, openmetrics: bool = False) -> str:
    """The text."""
    text = shown.metrics(openmetrics=openmetrics)
    assert text is not None
    return text.decode()


def test_text_has_the_names_of_prometheus() -> None:
    """With types and help, labels escaped, and without what a scrape sets itself."""
    awkward = 'a"b\\c'
    series = [
        Series("load_average_01min", FLOAT, (("hostname", "h"), ("release", "6"))),
        Series("disk_io_read_bytes", COUNTER64, (("disk_partition", "sda"),)),
        Series("disk_io_read_bytes", COUNTER64, (("disk_partition", awkward),)),
        Series("swap_memory_free", INTEGER),
    ]
    lines = text_of(newest(poll_of(series, [0.5, 7, 2**63, None]))).splitlines()
    assert "node_load1 0.5" in lines
    assert 'node_disk_read_bytes_total{device="sda"} 7' in lines
    assert 'node_disk_read_bytes_total{device="a\\"b\\\\c"} 9223372036854775808' in lines
    assert "# TYPE node_disk_read_bytes_total counter" in lines
    assert not [line for line in lines if "job=" in line or "instance=" in line]
    assert not [line for line in lines if "SwapFree" in line]
    kinds = Counter(line.split()[2] for line in lines if line.startswith("# TYPE"))
    assert set(kinds.values()) == {1}


@pytest.mark.parametrize("value", [nan, inf, -inf, None])
def test_what_is_no_figure_is_left_out(value: Value) -> None:
    """As in every output."""
    series = [Series("load_average_01min", FLOAT), Series("load_average_05min", FLOAT)]
    text = text_of(newest(poll_of(series, [value, 1.0])))
    assert "node_load1 " not in text
    assert "node_load5 1.0" in text


def test_a_figure_of_an_interval_that_was_given_up_is_none() -> None:
    """After a reload to a longer one the old poll would be shown in place of newer ones; another group stays."""
    series = [Series("load_average_01min", INTEGER)]
    shown = newest(poll_of(series, [1]), poll_of([Series("other", INTEGER)], [5], 3000))
    layout, poll = poll_of(series, [2], 2000)
    shown.show({2000: Shown(layout, poll)}, [2000, 3000])
    text = text_of(shown)
    assert "node_load1 2" in text
    assert 'interval="1"' not in text
    assert 'interval="3"' in text


def test_openmetrics_calls_counters_by_their_family() -> None:
    """And ends with a mark."""
    text = text_of(
        newest(poll_of([Series("disk_io_read_bytes", COUNTER64)], [7])), openmetrics=True
    )
    assert "# TYPE node_disk_read_bytes counter\nnode_disk_read_bytes_total 7\n" in text
    assert text.endswith("# EOF\n")


def test_a_poll_that_is_not_of_now_is_no_figure_for_prometheus() -> None:
    """A scrape would take it for one of now. The group that is still polled stays."""
    old_ms = now_ms() - 60_000
    old = poll_of([Series("load_average_01min", FLOAT)], [1.0], time_ms=old_ms)
    assert newest(old).metrics(openmetrics=False) is None
    slow = poll_of([Series("load_average_05min", FLOAT)], [2.0], 60_000, old_ms)
    text = text_of(newest(old, slow))
    assert "node_load1 " not in text
    assert "node_load5 2.0" in text
    assert f'pattoo_poll_timestamp_seconds{{interval="60"}} {old_ms / 1000!r}' in text


def test_promtool_finds_nothing_but_the_names_of_node_exporter() -> None:
    """It does not like some names that node_exporter has, which are kept for its dashboards.

    With all families; and a strict parser of OpenMetrics takes the page.
    """
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: Debian's package prometheus has it")
    polled = Poller(sources_of(*EVERY), ORIGIN, 10_000).poll(now_ms())
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=text_of(newest(polled)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).splitlines()
    camel = "metric names should be written in 'snake_case' not 'camelCase'"
    assert [line for line in said if not (line.startswith("node_") and camel in line)] == []
    text = text_of(newest(polled), openmetrics=True)
    strict = text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # it has no types
    assert len(list(strict)) > 50
