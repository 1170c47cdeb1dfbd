"""A directory of text files: each is read when it changes, and whatever else lies there is told."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import (
    MOST_BYTES,
    MOST_FILES,
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
    """Gives a text back, and keeps what it was given."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, content: bytes) -> bytes:
        """Refuse what begins with `bad`."""
        self.read.append(content)
        if content.startswith(b"bad"):
            raise ValueError("is bad")
        return content


@pytest.fixture
def parser() -> Parser:
    """One that is given every file that is read."""
    return Parser()


@pytest.fixture
def directory(tmp_path: Path, parser: Parser) -> Directory[bytes]:
    """That of this test."""
    return Directory(tmp_path, parser)


def problems(directory: Directory[bytes]) -> dict[str, str]:
    """What is wrong with each file that something is wrong with."""
    return {name: file.problem for name, file in directory.files().items() if file.problem}


def put(path: Path, content: bytes) -> None:
    """Write aside and rename, as the convention is."""
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(path)


def test_only_names_with_the_suffix_are_read(tmp_path: Path, directory: Directory[bytes]) -> None:
    """What is being written aside is not."""
    for name in ("b.prom", "a.prom", "a.prom.tmp", "README"):
        (tmp_path / name).write_bytes(name.encode())
    assert {name: file.content for name, file in directory.files().items()} == {
        "a.prom": b"a.prom", "b.prom": b"b.prom",
    }  # fmt: skip
    assert list(directory.files()) == ["a.prom", "b.prom"]


def test_a_file_is_read_again_only_when_it_has_changed(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """Another renamed into its place counts, also with the size and the time of the one before."""
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
    """It is not read again meanwhile, and its age is known."""
    put(tmp_path / "a.prom", b"bad")
    put(tmp_path / "b.prom", b"good")
    for _ in range(2):
        assert problems(directory) == {"a.prom": "is bad"}
    assert sorted(parser.read) == [b"bad", b"good"]
    assert directory.files()["a.prom"].written_s == (tmp_path / "a.prom").stat().st_mtime
    put(tmp_path / "a.prom", b"mended")
    assert problems(directory) == {}


def test_what_is_no_file_is_not_opened(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A FIFO without a writer would be waited for; a device may do something."""
    os.mkfifo(tmp_path / "fifo.prom")
    (tmp_path / "directory.prom").mkdir()
    (tmp_path / "device.prom").symlink_to("/dev/zero")
    assert problems(directory) == dict.fromkeys(
        ("device.prom", "directory.prom", "fifo.prom"), "is no regular file"
    )


def test_links_are_followed(tmp_path: Path, directory: Directory[bytes]) -> None:
    """One that leads nowhere, or to itself, leaves out that file."""
    (tmp_path / "elsewhere").write_bytes(b"it")
    (tmp_path / "a.prom").symlink_to("elsewhere")
    (tmp_path / "b.prom").symlink_to("nowhere")
    (tmp_path / "c.prom").symlink_to("c.prom")
    assert directory.files()["a.prom"].content == b"it"
    assert problems(directory) == {
        "b.prom": "is a link to nothing",
        "c.prom": "Too many levels of symbolic links",
    }


def test_a_file_that_goes_between_list_and_look_is_not_there(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """Whoever wrote it has taken it away, which is no fault."""
    put(tmp_path / "a.prom", b"one")
    assert directory._file("gone.prom", MOST_BYTES) is None
    assert list(directory.files()) == ["a.prom"]
    (tmp_path / "a.prom").unlink()
    assert directory.files() == {}


def test_a_file_that_is_exchanged_between_look_and_opening_is_looked_at_again(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """What is opened is what counts; opening a FIFO does not wait for a writer."""
    os.mkfifo(tmp_path / "a.prom")
    assert directory._read(tmp_path / "a.prom", MOST_BYTES).problem == "is no regular file"


def test_a_file_that_may_not_be_read_is_told(home: Path) -> None:
    """It is left out, with the kernel's word for why."""
    file = home / "a.prom"
    file.write_bytes(b"secret")
    file.chmod(0)
    home.chmod(0o755)
    told = as_nobody(lambda: str(problems(Directory(home, Parser()))))
    assert told == "{'a.prom': 'Permission denied'}"


def test_all_files_together_are_bounded(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A file for which there is no room is not read; those after it may fit."""
    put(tmp_path / "a.prom", b"x" * (MOST_BYTES - 10))
    put(tmp_path / "b.prom", b"x" * 11)
    put(tmp_path / "c.prom", b"x" * 10)
    (tmp_path / "d.prom").touch()
    os.truncate(tmp_path / "d.prom", 1 << 40)
    too_large = "is too large: all files together may have 1048576 bytes"
    for _ in range(2):
        assert problems(directory) == {"b.prom": too_large, "d.prom": too_large}


def test_a_file_that_grows_while_it_is_read_is_bounded(
    tmp_path: Path, directory: Directory[bytes], parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than there is room for."""
    put(tmp_path / "a.prom", b"x" * 20)
    unfit = Directory._unfit
    monkeypatch.setattr(Directory, "_unfit", lambda self, status, _: unfit(self, status, 20))
    assert directory._read(tmp_path / "a.prom", 10).problem.startswith("is too large")
    assert parser.read == []


def test_more_files_than_are_read_are_told_of_once(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """The first of them is named."""
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number:03}.prom").touch()
    assert problems(directory) == {"100.prom": _prometheus._TOO_MANY}
    assert len(parser.read) == MOST_FILES


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path, parser: Parser) -> None:
    """It is told of as a whole."""
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path / "none", parser).files()


def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path, directory: Directory[bytes]) -> None:
    """As the system gives it; what is sent of it is made safe later."""
    (tmp_path / os.fsdecode(b"\xff.prom")).write_bytes(b"it")
    assert [file.content for file in directory.files().values()] == [b"it"]


# Prometheus's text format as pattoo's series.


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
