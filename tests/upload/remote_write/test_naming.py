"""Names and labels of series as pattoo has them."""

from __future__ import annotations

import re
from dataclasses import replace

from pattoo_mp.config.values import NO_FILES, REMOTE_WRITE, Output
from pattoo_mp.model import COUNTER64, INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.upload.remote_write import servers
from pattoo_mp.upload.remote_write.message import request
from pattoo_mp.upload.remote_write.naming import HOST_INFO, PattooNaming
from pattoo_mp.upload.remote_write.samples import Batch, Encoder
from pattoo_mp.wire.families import family_of
from tests.support.remote_write import decoded, fields
from tests.upload.remote_write.sending import HOST, LAYOUT, SHORTER

ORIGIN = Origin("f" * 64, "web1")
LABEL = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


def output(**labels: str) -> Output:
    """Return an output with these labels."""
    return Output(REMOTE_WRITE, "m", ("http://x",), NO_FILES, labels=tuple(labels.items()))


def sent(*series: Series, **labels: str) -> list[dict[str, str]]:
    """Return the labels of series as a receiver gets them, those of the info series first."""
    layout = Layout(ORIGIN, 1000, series)
    encoder = Encoder(PattooNaming(output(**labels)))
    poll = Poll.of(layout, 1, [1] * len(series))
    return [
        dict(found)
        for found in decoded(request(encoder.blocks(Batch([poll], {layout.identifier: layout}))))
    ]


def test_the_host_is_one_series_and_no_label_of_all() -> None:
    """Its release and so on are labels of an info series; the others have name, source and metadata."""
    info, load = sent(Series("load", INTEGER, (*HOST, ("hostname", "web1"), ("disk", "sda"))))
    source = {"instance": "web1", "job": "pattoo_agent_os_autonomousd"}
    assert load == {"__name__": "pattoo_load", **source, "disk": "sda"}
    host = {"release": "6.1", "version": "#1", "type": "Linux", "cpus": "2", "hostname": "web1"}
    assert info == {"__name__": HOST_INFO, **source, **host}


def test_labels_of_the_output_are_in_every_series() -> None:
    """They may replace instance and job, and go before metadata of the same name."""
    found = sent(Series("load", INTEGER, (*HOST, ("site", "x"))), site="basel", instance="i")
    assert {labels["site"] for labels in found} == {"basel"}
    assert {labels["instance"] for labels in found} == {"i"}
    assert found[1]["exported_site"] == "x"


def test_names_are_valid() -> None:
    """Whatever bytes they were made of; empty values are left out."""
    series = Series(
        "a-b c\udcff", INTEGER, (("1 x", "v\udcff"), ("", "y"), ("__x", "z"), ("e", ""))
    )
    _, labels = sent(series)
    assert all(LABEL.fullmatch(name) for name in labels)
    assert LABEL.fullmatch(labels["__name__"])
    assert labels["_1_x"] == "v\\xff"
    assert not [name for name in labels if name.startswith("__") and name != "__name__"]
    assert "e" not in labels


def test_two_series_never_become_one() -> None:
    """Also if their names differ only in what a label cannot hold."""
    found = sent(
        Series("a-b", INTEGER),
        Series("a_b", INTEGER),
        Series("a b", INTEGER, (("x", ""),)),
        Series("a b", INTEGER, (("x", "1"),)),
        Series("host_info", INTEGER),
    )
    assert len(found) == len({tuple(labels.items()) for labels in found}) == 6


def test_metadata_says_what_is_a_counter() -> None:
    """Counters are of type 1, all others gauges."""
    layout = Layout(ORIGIN, 1000, (Series("a", INTEGER), Series("b", COUNTER64)))
    encoder = Encoder(PattooNaming(output()))
    found = encoder.metadata(Batch([], {layout.identifier: layout}))
    kinds = {dict(fields(content))[2]: dict(fields(content))[1] for _, content in fields(found)}
    assert kinds == {b"pattoo_a": 2, b"pattoo_b": 1}


def test_a_divided_layout_has_the_series_of_its_parts() -> None:
    """As if it were not divided."""
    whole = Layout.of_parts([LAYOUT, Layout(ORIGIN, LAYOUT.interval_ms, (Series("n", INTEGER),))])
    encoder = Encoder(PattooNaming(output()))
    rows = encoder.rows(whole)
    assert rows.labels[:-1] == encoder.rows(LAYOUT).labels
    assert rows.info == encoder.rows(LAYOUT).info


def test_a_series_that_moves_to_another_interval_has_not_ended() -> None:
    """It is polled there."""
    moved = Layout(ORIGIN, 5000, LAYOUT.series[-1:])
    encoder = Encoder(PattooNaming(output()))
    layouts = {each.identifier: each for each in (LAYOUT, SHORTER, moved)}
    polls = [
        Poll.of(LAYOUT, 1, [1] * len(LAYOUT.series)),
        Poll.of(moved, 2, [2]),
        Poll.of(SHORTER, 3, [3] * len(SHORTER.series)),
    ]
    assert [list(block.ended) for block in encoder.blocks(Batch(polls, layouts))][1:] == [
        [],
        [],
        [],
    ]
    encoder.note_sent(Batch([polls[0]], layouts))
    blocks = encoder.blocks(Batch([polls[2]], layouts))
    assert list(blocks[-1].ended) == [encoder.rows(LAYOUT).labels[-1]]


def test_an_output_gets_only_its_families() -> None:
    """Beside the info series, which all have."""
    series = (Series("load_average_01min", INTEGER, HOST), Series("memory_total", INTEGER, HOST))
    layout = Layout(ORIGIN, 1000, series)
    its = replace(output(), families=("memory",))
    for naming in ("pattoo", "prometheus"):
        found = servers.naming(replace(its, naming=naming)).named(layout)
        wanted = [family_of(s.key) == "memory" for s in series]
        assert [labels is not None for labels in found.labels] == wanted
        assert any(wanted)
        assert not all(wanted)
        assert servers.naming(replace(its, naming=naming)).info(layout)
