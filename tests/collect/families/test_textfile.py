"""The family that sends the operator's own figures, and its limit on the number of series."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families._prometheus import CardinalityLimit, Directory
from pattoo_mp.collect.families.textfile import MAX_SERIES, TextFiles
from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import COUNTER64, FLOAT
from tests.support.agent import ROOT
from tests.support.hosts import again, polled
from tests.support.sources import sources_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path


def make_poller(directory: Path, limit_s: float = 20.0) -> Poller:
    """Return a poller for the files of a directory."""
    sources = sources_of("textfile", limit_s=limit_s, textfile_directory=directory)
    return Poller(sources, ORIGIN, 1000)


def test_figures_and_the_age_of_each_file_are_polled(tmp_path: Path) -> None:
    """Figures carry the host's metadata and their own labels; an age carries the file's name."""
    file = tmp_path / "backup.prom"
    file.write_text('# TYPE runs counter\nruns{job="home"} 7\nlast_size 12.5\n')
    os.utime(file, (0, time.time() - 100))
    poll = polled("textfile", textfile_directory=tmp_path)
    assert [(s.key, s.data_type, s.metadata[6:], v) for s, v in list(poll.series.items())[:2]] == [
        ("textfile_metric_last_size", FLOAT, (), 12.5),
        ("textfile_metric_runs_total", COUNTER64, (("textfile_label_job", "home"),), 7),
    ]
    assert poll.figures["textfile_file_age"] == pytest.approx(100, abs=20)
    (*_, age) = poll.series
    assert age.metadata[6:] == (("textfile_file", "backup.prom"),)


def test_a_bad_file_leaves_out_that_file(tmp_path: Path) -> None:
    """Its age and the other files are sent; it is noted by name until it is fixed."""
    (tmp_path / "a.prom").write_text("good 1\n")
    (tmp_path / "b.prom").write_text("bad one\n")
    poller = make_poller(tmp_path)
    poll = again(poller)
    assert [series.key for series in poll.series] == [
        "textfile_metric_good", "textfile_file_age", "textfile_file_age",
    ]  # fmt: skip
    assert poll.left_out == {"textfile b.prom": "line 1: not in Prometheus's text format"}
    (tmp_path / "b.prom").write_text("fixed 1\n")
    assert again(poller).left_out == {}


def test_a_figure_of_two_files_is_sent_once(tmp_path: Path) -> None:
    """The file that is first by name wins; the other is noted, and its other figures are sent."""
    (tmp_path / "a.prom").write_text('x{a="1"} 1\n')
    (tmp_path / "b.prom").write_text('x{a="1"} 2\nx{a="2"} 3\n')
    poll = polled("textfile", textfile_directory=tmp_path)
    assert list(poll.series.values())[:2] == [1, 3]
    assert poll.left_out == {"textfile b.prom": "duplicate figures are left out: 1"}


def test_a_figure_with_two_types_is_sent_with_the_first_type(tmp_path: Path) -> None:
    """Key and labels would not tell the two apart."""
    (tmp_path / "a.prom").write_text("# TYPE x_total counter\nx_total 1\n")
    (tmp_path / "b.prom").write_text("x_total 2\n")
    poll = polled("textfile", textfile_directory=tmp_path)
    assert [(s.data_type, v) for s, v in poll.series.items()][:1] == [(COUNTER64, 1)]
    assert poll.left_out == {"textfile b.prom": "duplicate figures are left out: 1"}


def test_only_a_new_file_makes_a_new_layout(tmp_path: Path) -> None:
    """A new value does not, as a layout costs more than a poll."""
    file = tmp_path / "a.prom"
    file.write_text("x 1\n")
    poller = make_poller(tmp_path)
    first, _ = poller.poll(1000)
    file.write_text("x 2.5\n")
    second, poll = poller.poll(2000)
    assert second is first
    assert poll.values()[0] == 2.5
    (tmp_path / "b.prom").write_text("y 1\n")
    assert poller.poll(3000)[0] != first


def test_different_series_are_bounded(tmp_path: Path) -> None:
    """Even if they come and go: changing labels would make new series without end."""
    file = tmp_path / "a.prom"
    file.write_text("".join(f'x{{run="{n}"}} 1\n' for n in range(MAX_SERIES + 1)))
    poller = make_poller(tmp_path)
    poll = again(poller)
    assert len(poll.series) == MAX_SERIES
    assert list(poll.left_out) == ["textfile series"]
    file.write_text('x{run="0"} 1\nx{run="new"} 1\n')
    assert len(again(poller).series) == 1 + 1


def test_files_that_come_and_go_are_bounded(tmp_path: Path) -> None:
    """Their ages are series, too. A file that stays keeps its series."""
    (tmp_path / "a.prom").touch()
    poller = make_poller(tmp_path)
    for number in range(MAX_SERIES + 10):
        file = tmp_path / f"job-{number}.prom"
        file.touch()
        poll = again(poller)
        file.unlink()
    assert list(poll.by("textfile_file")) == ["a.prom"]
    assert list(poll.left_out) == ["textfile series"]


def test_a_directory_that_hangs_holds_up_a_poll_no_longer_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be on a dead file server; it is polled again when the server answers."""
    (tmp_path / "a.prom").write_text("x 1\n")
    poller = make_poller(tmp_path, limit_s=0.2)
    answer, files = threading.Event(), Directory.files

    def hang(self: Directory[object]) -> object:
        answer.wait(60)
        return files(self)

    monkeypatch.setattr(Directory, "files", hang)
    assert again(poller).left_out == {"textfile": "NoAnswerError: no answer within 0.2 s"}
    answer.set()
    wait_for(lambda: not again(poller).left_out, what="the files")


def test_without_a_directory_the_note_names_the_setting() -> None:
    """So that the operator knows what to set."""
    assert polled("textfile").left_out == {
        "textfile": "textfile_directory is not set; expected the directory of the files"
    }


@pytest.mark.parametrize("files", [0, 1])
def test_without_the_library_the_note_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """A plain installation does not include it. It is noted before the first file comes."""
    for number in range(files):
        (tmp_path / f"{number}.prom").write_text("x 1\n")
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    assert polled("textfile", textfile_directory=tmp_path).left_out == {
        "textfile": "prometheus_client is not installed; expected the extra `textfile` of pattoo_mp, "
        "or Debian's python3-prometheus-client"
    }


def test_the_library_is_loaded_only_for_a_directory() -> None:
    """Not for the table, nor if no directory is set: it uses more memory than all other families."""
    code = (
        "import sys; from pattoo_mp.collect import collector, registry;"
        "from tests.support.sources import sources_of;"
        "registry.tables(); sources_of('textfile'); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_unchanged_files_are_not_merged_again(tmp_path: Path) -> None:
    """They only cost a check, and give the very same shape."""
    (tmp_path / "a.prom").write_text("x 1\n")
    files = TextFiles(tmp_path)
    assert files.read().shape is files.read().shape


# The limit on the number of different series.


@pytest.fixture
def now() -> list[float]:
    """Return the current time (s), which a test can change."""
    return [1000.0]


@pytest.fixture
def limit(now: list[float]) -> CardinalityLimit[str]:
    """Return a limit of three."""
    return CardinalityLimit(3, lambda: now[0])


def test_the_first_items_are_admitted(limit: CardinalityLimit[str]) -> None:
    """Up to the limit, and no more."""
    assert limit.admit("abcd") == set("abc")
    assert limit.admit("abcd") == set("abc")


def test_an_admitted_item_stays_whatever_comes_before_it(limit: CardinalityLimit[str]) -> None:
    """No chart ends because another begins."""
    limit.admit("bcd")
    assert limit.admit("abcd") == set("bcd")


def test_an_item_that_is_gone_does_not_make_room_at_once(
    limit: CardinalityLimit[str], now: list[float]
) -> None:
    """Otherwise changing labels would make new series without end."""
    limit.admit("abc")
    now[0] += 3600
    assert limit.admit("ade") == {"a"}
    assert limit.admit("acb") == set("abc")


def test_an_item_that_is_gone_for_a_day_makes_room(
    limit: CardinalityLimit[str], now: list[float]
) -> None:
    """Hosts change over the years. One item takes the place of one that is gone."""
    limit.admit("abc")
    now[0] += 3600
    limit.admit("ab")
    now[0] += 86_399
    assert limit.admit("abd") == set("ab")
    now[0] += 1
    assert limit.admit("abd") == set("abd")
    assert limit.admit("abdc") == set("abd")
