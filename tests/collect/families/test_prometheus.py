"""Directories of files in Prometheus's text format, and the figures in them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import (
    MAX_BYTES,
    MAX_FILES,
    Directory,
    FormatError,
    Identity,
    figures,
)
from pattoo_mp.model import COUNTER64, FLOAT, Layout, Poll, Series, Value
from pattoo_mp.wire.encode import encode
from tests.support.unprivileged import as_nobody
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path


class Parser:
    """Returns its input, and records it."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, content: bytes) -> bytes:
        """Refuse content that begins with `bad`."""
        self.read.append(content)
        if content.startswith(b"bad"):
            raise ValueError("is bad")
        return content


@pytest.fixture
def parser() -> Parser:
    """Return a parser that records every file that is read."""
    return Parser()


@pytest.fixture
def directory(tmp_path: Path, parser: Parser) -> Directory[bytes]:
    """Return the directory of this test."""
    return Directory(tmp_path, parser)


def notes(directory: Directory[bytes]) -> dict[str, str]:
    """Return the note for each file that is left out."""
    return {name: file.note for name, file in directory.files().items() if file.note}


def put(path: Path, content: bytes) -> None:
    """Write to a temporary name and rename, as the convention is."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.rename(path)


def test_only_names_with_the_suffix_are_read(tmp_path: Path, directory: Directory[bytes]) -> None:
    """Temporary files are not."""
    for name in ("b.prom", "a.prom", "a.prom.tmp", "README"):
        (tmp_path / name).write_bytes(name.encode())
    assert {name: file.content for name, file in directory.files().items()} == {
        "a.prom": b"a.prom", "b.prom": b"b.prom",
    }  # fmt: skip
    assert list(directory.files()) == ["a.prom", "b.prom"]


def test_a_file_is_read_again_only_when_it_has_changed(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """A file that replaces it counts as changed, even with the same size and time."""
    file = tmp_path / "a.prom"
    put(file, b"one")
    first = directory.files()
    assert directory.files() == first
    assert parser.read == [b"one"]
    before = file.stat()
    put(file, b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert directory.files()["a.prom"].content == b"two"
    assert parser.read == [b"one", b"two"]


def test_a_bad_file_leaves_out_that_file_until_it_changes(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """Until then it is not read again, and its age is known."""
    put(tmp_path / "a.prom", b"bad")
    put(tmp_path / "b.prom", b"good")
    for _ in range(2):
        assert notes(directory) == {"a.prom": "is bad"}
    assert sorted(parser.read) == [b"bad", b"good"]
    assert directory.files()["a.prom"].written_s == (tmp_path / "a.prom").stat().st_mtime
    put(tmp_path / "a.prom", b"fixed")
    assert notes(directory) == {}


def test_only_regular_files_are_opened(tmp_path: Path, directory: Directory[bytes]) -> None:
    """Opening a FIFO would wait for a writer; opening a device may have effects."""
    os.mkfifo(tmp_path / "fifo.prom")
    (tmp_path / "directory.prom").mkdir()
    (tmp_path / "device.prom").symlink_to("/dev/zero")
    assert notes(directory) == dict.fromkeys(
        ("device.prom", "directory.prom", "fifo.prom"), "not a regular file"
    )


def test_links_are_followed(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A broken or circular link leaves out that file."""
    (tmp_path / "elsewhere").write_bytes(b"it")
    (tmp_path / "a.prom").symlink_to("elsewhere")
    (tmp_path / "b.prom").symlink_to("nowhere")
    (tmp_path / "c.prom").symlink_to("c.prom")
    assert directory.files()["a.prom"].content == b"it"
    assert notes(directory) == {
        "b.prom": "a broken link",
        "c.prom": "Too many levels of symbolic links",
    }


def test_a_file_removed_during_a_read_is_skipped(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """Removing a file is not an error."""
    put(tmp_path / "a.prom", b"one")
    assert directory._file("gone.prom", MAX_BYTES) is None
    assert list(directory.files()) == ["a.prom"]
    (tmp_path / "a.prom").unlink()
    assert directory.files() == {}


def test_a_file_replaced_during_a_read_is_checked_again(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """The opened file is checked; opening a FIFO does not wait for a writer."""
    os.mkfifo(tmp_path / "a.prom")
    assert directory._read(tmp_path / "a.prom", MAX_BYTES).note == "not a regular file"


def test_a_file_that_is_not_readable_is_noted(home: Path) -> None:
    """It is left out, with the kernel's reason."""
    file = home / "a.prom"
    file.write_bytes(b"secret")
    file.chmod(0)
    home.chmod(0o755)
    noted = as_nobody(lambda: str(notes(Directory(home, Parser()))))
    assert noted == "{'a.prom': 'Permission denied'}"


def test_all_files_together_are_bounded(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A file that exceeds the limit is not read; smaller ones after it may be."""
    put(tmp_path / "a.prom", b"x" * (MAX_BYTES - 10))
    put(tmp_path / "b.prom", b"x" * 11)
    put(tmp_path / "c.prom", b"x" * 10)
    (tmp_path / "d.prom").touch()
    os.truncate(tmp_path / "d.prom", 1 << 40)
    too_large = "too large: all files together may have 1048576 bytes"
    for _ in range(2):
        assert notes(directory) == {"b.prom": too_large, "d.prom": too_large}


def test_a_file_that_grows_during_a_read_is_bounded(
    tmp_path: Path, directory: Directory[bytes], parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than the limit allows."""
    put(tmp_path / "a.prom", b"x" * 20)
    rejected = Directory._rejected
    monkeypatch.setattr(Directory, "_rejected", lambda self, status, _: rejected(self, status, 20))
    assert directory._read(tmp_path / "a.prom", 10).note.startswith("too large")
    assert parser.read == []


def test_files_above_the_limit_are_noted_once(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """The note is on the first of them."""
    for number in range(MAX_FILES + 5):
        (tmp_path / f"{number:03}.prom").touch()
    assert notes(directory) == {"100.prom": _prometheus._TOO_MANY}
    assert len(parser.read) == MAX_FILES


def test_a_missing_directory_is_an_error(tmp_path: Path, parser: Parser) -> None:
    """The whole directory fails."""
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path / "none", parser).files()


def test_a_name_that_is_not_utf8_is_accepted(tmp_path: Path, directory: Directory[bytes]) -> None:
    """As the system returns it. It is made safe later, before it is sent."""
    (tmp_path / os.fsdecode(b"\xff.prom")).write_bytes(b"it")
    assert [file.content for file in directory.files().values()] == [b"it"]


# Prometheus's text format as pattoo's series.


def found(text: str) -> dict[Identity, Value]:
    """Return the values in a text by identity."""
    return dict(figures(text.encode()))


def types(text: str) -> dict[str, int]:
    """Return the data type of each key in a text."""
    return {identity.key: identity.data_type for identity in found(text)}


def test_a_gauge_is_a_float_with_its_labels_as_metadata() -> None:
    """The labels are sorted by name."""
    assert found('# TYPE heat gauge\nheat{room="2",at="north"} 21.5\n') == {
        Identity(
            "textfile_metric_heat", FLOAT,
            (("textfile_label_at", "north"), ("textfile_label_room", "2")),
        ): 21.5
    }  # fmt: skip


@pytest.mark.parametrize("value", ["12", "12.5", "1e3"])
def test_a_counter_is_a_counter_whatever_its_value(value: str) -> None:
    """The type identifies a series, so it must not change with a fractional value."""
    assert types(f"# TYPE a_total counter\na_total {value}\n") == {
        "textfile_metric_a_total": COUNTER64
    }


def test_a_counter_gets_the_missing_suffix() -> None:
    """The parser adds it, as OpenMetrics requires it."""
    assert types("# TYPE jobs counter\njobs 3\n") == {"textfile_metric_jobs_total": COUNTER64}


def test_each_part_of_a_histogram_or_summary_has_a_type() -> None:
    """Parts that only grow are counters; quantiles are not."""
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


def test_without_a_type_a_figure_is_a_float() -> None:
    """Even if its name looks like that of a counter."""
    assert types("a 1\nb_total 2\n") == {
        "textfile_metric_a": FLOAT, "textfile_metric_b_total": FLOAT,
    }  # fmt: skip


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999", "9" * 400, "9" * 5000])
def test_a_value_that_no_server_takes_is_omitted_but_its_series_stays(value: str) -> None:
    """The next value may be one that the server takes."""
    assert list(found(f"a {value}\n").values()) == [None]


def test_a_label_does_not_clash_with_the_hosts_metadata() -> None:
    """A duplicate key keeps its first value, which is the host's."""
    (identity,) = found('a{hostname="x",pattoo_key="y"} 1\n')
    assert [name for name, _ in identity.labels] == [
        "textfile_label_hostname", "textfile_label_pattoo_key",
    ]  # fmt: skip


def test_a_label_with_an_empty_value_is_ignored() -> None:
    """Prometheus treats the two as the same."""
    assert found('a{x=""} 1\n') == found("a 1\n")


def test_names_that_differ_in_case_are_the_same() -> None:
    """The server's own library makes them lower case."""
    assert found('A{X="1"} 1\n').keys() == found('a{x="1"} 1\n').keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1\nb c d\n", "line 2: not in Prometheus's text format"),
        (b"a 1\n# TYPE b wheel\nb 1\n", "line 3: not in Prometheus's text format"),
        (b'a{b="secret} 1\n', "line 1: not in Prometheus's text format"),
        (b"a 1\n\nb\xff 1\n", "line 3: not UTF-8"),
        (b"a 1\0\n", "contains a NUL; expected text"),
        (b"a 1 1700000000000\n", "a has a timestamp; expected none"),
        (b"a 1\nb 2", "the last line has no newline; expected a complete file, renamed into place"),
        (b"a 1\n#" + b"x" * 20_000 + b"\n", "line 2: more than 16384 characters"),
        (
            b"a{" + b",".join(b'l%d="1"' % n for n in range(33)) + b"} 1\n",
            "a has more than 32 labels",
        ),
    ],
)
def test_a_format_error_does_not_quote_the_file(content: bytes, message: str) -> None:
    """A link may lead to a file whose content must not get into a log."""
    with pytest.raises(FormatError) as caught:
        figures(content)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("# TYPE a GAUGE", ("textfile_metric_a", FLOAT)),
        ("# TYPE a Counter", ("textfile_metric_a_total", COUNTER64)),
        ("# TYPE a Untyped", ("textfile_metric_a", FLOAT)),
        ("# TYPE a", ("textfile_metric_a", FLOAT)),
        ("# TYPE a ", ("textfile_metric_a", FLOAT)),
        ("#\tTYPE\ta\tcounter", ("textfile_metric_a_total", COUNTER64)),
        ("# TYPE a counter\r", ("textfile_metric_a_total", COUNTER64)),
        ("# HELP a one\n# HELP a two", ("textfile_metric_a", FLOAT)),
        ("# HELP a", ("textfile_metric_a", FLOAT)),
    ],
)
def test_a_declaration_is_taken_as_node_exporter_takes_it(
    declared: str, expected: tuple[str, int]
) -> None:
    """In any case, without a type, and with line ends of Windows, which node_exporter refuses."""
    assert types(f"{declared}\na 1\n") == dict([expected])


def test_the_parts_of_a_gauge_histogram_are_floats() -> None:
    """They may fall."""
    text = '# TYPE a gauge_histogram\na_bucket{le="1"} 1\na_sum 2\na_count 3\n'
    assert types(text) == {
        f"textfile_metric_a_{part}": FLOAT for part in ("bucket", "sum", "count")
    }


def test_line_ends_of_windows_are_no_part_of_a_figure() -> None:
    """Neither of its labels nor of its value."""
    assert found('a{b="c"} 1\r\n\r\n') == found('a{b="c"} 1\n')


@pytest.mark.parametrize(
    "text",
    ['a 1\n# TYPE a counter\na{x="1"} 2\n', "# TYPE a gauge\na 1\n# TYPE a gauge\n",
     "# TYPE a gauge\n# HELP a x\n# TYPE a COUNTER\na 1\n"],
)  # fmt: skip
def test_a_type_that_comes_too_late_or_twice_is_refused(text: str) -> None:
    """It identifies the series: some figures would have another type than the rest."""
    with pytest.raises(FormatError, match=r"^line [23]: a (second TYPE|TYPE after)"):
        figures(text.encode())


def test_an_empty_file_is_valid() -> None:
    """It has no figures."""
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
def test_any_content_is_refused_or_can_be_sent(content: bytes) -> None:
    """It only raises `FormatError`, and never gives anything that could harm a server."""
    try:
        given = dict(figures(content))
    except FormatError:
        return
    series = tuple(Series(identity.key, identity.data_type, identity.labels) for identity in given)
    layout = Layout(ORIGIN, 1000, series)
    body = json.loads(
        encode({layout.identifier: layout}, [Poll.of(layout, 1, [*given.values()])], 1)
    )
    pairs = body["pattoo_datapoints"]["key_value_pairs"].values()
    assert all(len(str(text).encode()) <= 512 for pair in pairs for text in pair)
