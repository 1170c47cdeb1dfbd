"""Prometheus's text format as pattoo's series."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.families._prometheus import FormatError, Identity, figures
from pattoo_mp.model import COUNTER64, FLOAT, Layout, Poll, Series, Value
from pattoo_mp.wire.encode import encode
from tests.wire.posts import ORIGIN


def found(text: str) -> dict[Identity, Value]:
    """The figures of a text."""
    return dict(figures(text.encode()))


def types(text: str) -> dict[str, int]:
    """The data type of each key."""
    return {identity.key: identity.data_type for identity in found(text)}


def test_a_gauge_is_a_float_with_its_labels_as_metadata() -> None:
    """In the order of their names, whatever order they stand in."""
    assert found('# TYPE heat gauge\nheat{room="2",at="north"} 21.5\n') == {
        Identity(
            "textfile_metric_heat", FLOAT,
            (("textfile_label_at", "north"), ("textfile_label_room", "2")),
        ): 21.5
    }  # fmt: skip


@pytest.mark.parametrize("value", ["12", "12.5", "1e3"])
def test_a_counter_is_a_counter_whatever_its_value(value: str) -> None:
    """The type names a series, so it must not change when a half is counted."""
    assert types(f"# TYPE a_total counter\na_total {value}\n") == {
        "textfile_metric_a_total": COUNTER64
    }


def test_a_counter_gets_the_suffix_that_it_lacks() -> None:
    """As OpenMetrics has it; the parser adds it."""
    assert types("# TYPE jobs counter\njobs 3\n") == {"textfile_metric_jobs_total": COUNTER64}


def test_histograms_and_summaries_are_their_parts() -> None:
    """What only grows is a counter; a quantile goes up and down."""
    text = """\
# TYPE took histogram
took_bucket{le="1"} 3
took_bucket{le="+Inf"} 4
took_sum 2.5
took_count 4
# TYPE size summary
size{quantile="0.5"} 100
size_sum 700
size_count 9
"""
    assert types(text) == {
        "textfile_metric_took_bucket": COUNTER64,
        "textfile_metric_took_sum": COUNTER64,
        "textfile_metric_took_count": COUNTER64,
        "textfile_metric_size": FLOAT,
        "textfile_metric_size_sum": COUNTER64,
        "textfile_metric_size_count": COUNTER64,
    }
    assert len(found(text)) == 7


def test_what_has_no_type_is_a_float() -> None:
    """Also where its name looks like that of a counter."""
    assert types("a 1\nb_total 2\n") == {
        "textfile_metric_a": FLOAT, "textfile_metric_b_total": FLOAT,
    }  # fmt: skip


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999", "9" * 400, "9" * 5000])
def test_what_no_server_takes_keeps_its_series_and_has_no_value(value: str) -> None:
    """The next one may be a number that it takes."""
    assert list(found(f"a {value}\n").values()) == [None]


def test_a_label_of_the_hosts_name_stays_apart_from_it() -> None:
    """Metadata that stands twice keeps its first value, and the host's comes first."""
    (identity,) = found('a{hostname="x",pattoo_key="y"} 1\n')
    assert [name for name, _ in identity.labels] == [
        "textfile_label_hostname", "textfile_label_pattoo_key",
    ]  # fmt: skip


def test_a_label_without_a_value_is_none() -> None:
    """To Prometheus these two are one."""
    assert found('a{x=""} 1\n') == found("a 1\n")


def test_names_that_differ_in_capitals_are_one() -> None:
    """The server's own library makes small letters of them."""
    assert found('A{X="1"} 1\n').keys() == found('a{x="1"} 1\n').keys()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a 1\nb c d\n", "line 2: is not in Prometheus's text format"),
        (b"a 1\n# TYPE b wheel\nb 1\n", "line 3: is not in Prometheus's text format"),
        (b'a{b="secret} 1\n', "line 1: is not in Prometheus's text format"),
        (b"a 1\n\nb\xff 1\n", "line 3: is not UTF-8"),
        (b"a 1\0\n", "holds a NUL; expected text"),
        (b"a 1 1700000000000\n", "a has a time of its own; expected none"),
        (b"a 1\nb 2", "the last line does not end; expected a whole file, renamed into place"),
        (b"a 1\n#" + b"x" * 20_000 + b"\n", "line 2: has more than 16384 characters"),
        (
            b"a{" + b",".join(b'l%d="1"' % n for n in range(33)) + b"} 1\n",
            "a has more than 32 labels",
        ),
    ],
)
def test_what_is_refused_is_told_without_what_stands_there(content: bytes, problem: str) -> None:
    """A link may lead to a file that nobody should read in a log."""
    with pytest.raises(FormatError) as caught:
        figures(content)
    assert str(caught.value) == problem


def test_an_empty_file_is_a_good_one() -> None:
    """Its writer had nothing to say."""
    assert figures(b"") == ()


PIECES = st.sampled_from(
    ["a", "a_total", "# TYPE ", "# HELP ", "counter", "histogram", "summary", "info", " ", "\n", "{",
     "}", '"', "=", ",", 'x="1"', "\\", "\\n", "1", "NaN", "-Inf", "1e400", "é", '{"ä b"="c"}',
     "_bucket", 'le="1"', "# EOF", "\t", "\r", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]
)  # fmt: skip
CONTENT = st.one_of(
    st.lists(PIECES, max_size=30).map(lambda pieces: f"{''.join(pieces)}\n".encode()),
    st.text(max_size=40).map(lambda text: f'a{{b="{text}"}} 1\n'.encode()),
    st.binary(max_size=60).map(lambda some: some + b"\n"),
)


@settings(max_examples=300, deadline=None)
@given(CONTENT)
def test_whatever_a_file_holds_it_is_refused_or_can_be_sent(content: bytes) -> None:
    """No error but the one that leaves out that file, and nothing that no server survives."""
    try:
        given = dict(figures(content))
    except FormatError:
        return
    series = tuple(Series(one.key, one.data_type, one.labels) for one in given)
    layout = Layout(ORIGIN, 1000, series)
    body = json.loads(
        encode({layout.identifier: layout}, [Poll.of(layout, 1, [*given.values()])], 1)
    )
    pairs = body["pattoo_datapoints"]["key_value_pairs"].values()
    assert all(len(str(text).encode()) <= 512 for pair in pairs for text in pair)
