"""Performance data of Nagios plugins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect.commands.perfdata import figures
from pattoo_mp.collect.families._prometheus import FormatError
from pattoo_mp.model import COUNTER64, FLOAT
from pattoo_mp.wire.safe import sendable


def found(output: str) -> dict[str, tuple[str, object]]:
    """The metric and value of each figure by its label."""
    return {
        dict(one.labels)["command_figure"]: (one.key.removeprefix("command_"), value)
        for one, value in figures(output.encode())[0]
    }


@pytest.mark.parametrize(
    ("value", "metric", "expected"),
    [
        ("6.14", "value", 6.14), ("-3", "value", -3), (".5", "value", 0.5), ("1e3", "value", 1000.0),
        ("0.25s", "seconds", 0.25), ("1500ms", "seconds", 1.5), ("2us", "seconds", 2e-6),
        ("2\u00b5s", "seconds", 2e-6), ("2\u03bcs", "seconds", 2e-6),
        ("37%;80;90", "percent", 37.0), ("10B", "bytes", 10), ("1KB", "bytes", 1024.0),
        ("2MB;;;0;50", "bytes", 2.0 * 1024**2), ("1GiB", "bytes", 1024.0**3), ("3TB", "bytes", 3.0 * 1024**4),
        ("18446744073c", "count", 18446744073), ("21C", "value", 21), ("8Mb", "value", 8),
    ],
)  # fmt: skip
def test_a_unit_decides_the_metric(value: str, metric: str, expected: float) -> None:
    """Times are sent in seconds and sizes in bytes. `c` is a counter, and `C` is not."""
    assert found(f"OK | x={value}") == {"x": (metric, pytest.approx(expected))}


def test_a_counter_is_one_for_the_server() -> None:
    """With all of its digits, which a float does not have."""
    ((identity, value),), _ = figures(b"OK | n=9007199254740993c;;;0;")
    assert (identity.data_type, value) == (COUNTER64, 9007199254740993)
    assert figures(b"OK | n=1")[0][0][0].data_type == FLOAT


def test_an_unknown_unit_is_a_label() -> None:
    """So that volts and degrees of one plugin stay apart."""
    ((identity, value),), why = figures(b"OK | fan=1200rpm")
    assert identity.labels == (("command_figure", "fan"), ("command_unit", "rpm"))
    assert (value, why) == (1200, "")


def test_performance_data_of_all_lines_counts() -> None:
    """As the guidelines have it: after the first `|` of the first line, and after that of a later one."""
    output = (
        "DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968\n"
        "/ 15272 MB (77%);\n"
        "/boot 68 MB = 5; | /boot=68MB;88;93;0;98\n"
        "/home=69357MB;253404;253409;0;253414 'a b'=1\n"
    )
    assert list(found(output)) == ["/", "/boot", "/home", "a b"]


def test_labels_may_be_in_quotes() -> None:
    """With blanks, and with two quotes for one."""
    assert found("OK | 'a b'=1 'it''s'=2 'C:\\ used'=3%  d=4") == {
        "a b": ("value", 1.0),
        "it's": ("value", 2.0),
        "C:\\ used": ("percent", 3.0),
        "d": ("value", 4.0),
    }


def test_what_is_no_figure_is_counted_and_the_rest_is_sent() -> None:
    """Also a value that the plugin does not know (U), and one with a comma."""
    found_figures, why = figures(b"OK | a=1 b c= d=1,5 'e=3 f=nan g=U h=2")
    assert [dict(one.labels)["command_figure"] for one, _ in found_figures] == ["a", "h"]
    assert why == "not label=value with a unit: 5; unknown to the plugin (U): 1"


@pytest.mark.parametrize(
    "value", ["0xFF", "0Xa", "5,", "5s,", "5:", "5.5.", "1..", "5-", "5s|", "\u0661", "5=", "5+C"]
)
def test_what_may_be_another_number_is_left_out(value: str) -> None:
    """`0xFF` is not 0 in a unit xFF, and what follows a number must look like a unit."""
    assert figures(f"OK | a={value} b=2".encode())[1] == "not label=value with a unit: 1"
    assert found(f"OK | a={value} b=2") == {"b": ("value", 2)}


@pytest.mark.parametrize("value", ["1e300", "1" + "0" * 5000, "1" + "0" * 5000 + "c"])
def test_too_large_a_value_is_not_sent(value: str) -> None:
    """Its series stays, and so do the other ones."""
    ((_, first), (_, second)), _ = figures(f"OK | a={value} b=2".encode())
    assert (first, second) == (None, 2)


def test_text_alone_has_no_figures() -> None:
    """Many plugins print no performance data: their exit status says it all."""
    assert figures(b"USERS OK - 0 users\n") == ((), "")


@pytest.mark.parametrize("output", [b"", b"\n \n", b"OK \xff | a=1", b"OK | a=1\0"])
def test_what_is_no_text_is_refused(output: bytes) -> None:
    """The note does not quote it."""
    with pytest.raises(FormatError):
        figures(output)


@given(st.text("ab'=|;%. \n1U-", max_size=200))
def test_any_text_gives_figures_that_can_be_sent(text: str) -> None:
    """Whatever a plugin prints, nothing else is raised."""
    try:
        given_figures, _ = figures(text.encode())
    except FormatError:
        return
    assert all(value is None or sendable(value) for _, value in given_figures)
    assert all(dict(one.labels)["command_figure"].strip() for one, _ in given_figures)
