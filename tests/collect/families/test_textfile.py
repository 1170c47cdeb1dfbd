"""The family of an operator's own figures."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families._prometheus import Directory
from pattoo_mp.collect.families.textfile import MOST_SERIES, CardinalityLimit, TextFiles
from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import COUNTER64, FLOAT
from tests.support.agent import ROOT
from tests.support.hosts import again, polled
from tests.support.sources import sources_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path


def poller(directory: Path, limit_s: float = 20.0) -> Poller:
    """Polls the files of a directory."""
    sources = sources_of("textfile", limit_s=limit_s, textfile_directory=directory)
    return Poller(sources, ORIGIN, 1000)


def test_figures_and_the_age_of_each_file_are_polled(tmp_path: Path) -> None:
    """Figures carry the host's metadata and their own labels; an age, the name of the file."""
    file = tmp_path / "backup.prom"
    file.write_text('# TYPE runs counter\nruns{job="home"} 7\nlast_size 12.5\n')
    os.utime(file, (0, time.time() - 100))
    told = polled("textfile", textfile_directory=tmp_path)
    assert [(s.key, s.data_type, s.metadata[6:], v) for s, v in list(told.series.items())[:2]] == [
        ("textfile_metric_last_size", FLOAT, (), 12.5),
        ("textfile_metric_runs_total", COUNTER64, (("textfile_label_job", "home"),), 7),
    ]
    assert told.figures["textfile_file_age"] == pytest.approx(100, abs=20)
    (*_, age) = told.series
    assert age.metadata[6:] == (("textfile_file", "backup.prom"),)


def test_a_bad_file_leaves_out_that_file(tmp_path: Path) -> None:
    """Its age goes on, the other files too; it is told under its name, and no longer once mended."""
    (tmp_path / "a.prom").write_text("good 1\n")
    (tmp_path / "b.prom").write_text("bad one\n")
    polls = poller(tmp_path)
    told = again(polls)
    assert [series.key for series in told.series] == [
        "textfile_metric_good", "textfile_file_age", "textfile_file_age",
    ]  # fmt: skip
    assert told.left_out == {"textfile b.prom": "line 1: is not in Prometheus's text format"}
    (tmp_path / "b.prom").write_text("mended 1\n")
    assert again(polls).left_out == {}


def test_a_figure_of_two_files_is_sent_once(tmp_path: Path) -> None:
    """The first file counts, by its name; the other is told of, and its other figures count."""
    (tmp_path / "a.prom").write_text('x{a="1"} 1\n')
    (tmp_path / "b.prom").write_text('x{a="1"} 2\nx{a="2"} 3\n')
    told = polled("textfile", textfile_directory=tmp_path)
    assert list(told.series.values())[:2] == [1, 3]
    assert told.left_out == {"textfile b.prom": "figures that were given before are left out: 1"}


def test_a_figure_with_two_types_is_sent_with_the_first(tmp_path: Path) -> None:
    """By key and labels alone nobody could tell the two apart."""
    (tmp_path / "a.prom").write_text("# TYPE x_total counter\nx_total 1\n")
    (tmp_path / "b.prom").write_text("x_total 2\n")
    told = polled("textfile", textfile_directory=tmp_path)
    assert [(s.data_type, v) for s, v in told.series.items()][:1] == [(COUNTER64, 1)]
    assert told.left_out == {"textfile b.prom": "figures that were given before are left out: 1"}


def test_a_new_value_makes_no_new_layout_and_a_new_file_does(tmp_path: Path) -> None:
    """A layout costs more than a poll."""
    file = tmp_path / "a.prom"
    file.write_text("x 1\n")
    polls = poller(tmp_path)
    first, _ = polls.poll(1000)
    file.write_text("x 2.5\n")
    second, poll = polls.poll(2000)
    assert second is first
    assert poll.values()[0] == 2.5
    (tmp_path / "b.prom").write_text("y 1\n")
    assert polls.poll(3000)[0] != first


def test_different_series_are_bounded(tmp_path: Path) -> None:
    """Also those that come and go: labels that change all the time make new ones for ever."""
    file = tmp_path / "a.prom"
    file.write_text("".join(f'x{{run="{n}"}} 1\n' for n in range(MOST_SERIES + 1)))
    polls = poller(tmp_path)
    told = again(polls)
    assert len(told.series) == MOST_SERIES
    assert list(told.left_out) == ["textfile series"]
    file.write_text('x{run="0"} 1\nx{run="new"} 1\n')
    assert len(again(polls).series) == 1 + 1


def test_files_that_come_and_go_are_bounded(tmp_path: Path) -> None:
    """Their ages are series, too; a file that stays keeps its."""
    (tmp_path / "a.prom").touch()
    polls = poller(tmp_path)
    for number in range(MOST_SERIES + 10):
        file = tmp_path / f"job-{number}.prom"
        file.touch()
        told = again(polls)
        file.unlink()
    assert list(told.by("textfile_file")) == ["a.prom"]
    assert list(told.left_out) == ["textfile series"]


def test_a_directory_that_hangs_holds_up_a_poll_no_longer_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie with a dead file server; it is back when that is."""
    (tmp_path / "a.prom").write_text("x 1\n")
    polls = poller(tmp_path, limit_s=0.2)
    answer, files = threading.Event(), Directory.files

    def hang(self: Directory[object]) -> object:
        answer.wait(60)
        return files(self)

    monkeypatch.setattr(Directory, "files", hang)
    assert again(polls).left_out == {"textfile": "NoAnswerError: no answer within 0.2 s"}
    answer.set()
    wait_for(lambda: not again(polls).left_out, what="the files")


def test_without_a_directory_it_is_said_what_is_missing() -> None:
    """Which setting it is."""
    assert polled("textfile").left_out == {
        "textfile": "textfile_directory is not set; expected the directory of the files"
    }


def test_without_the_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no part of a plain installation."""
    (tmp_path / "a.prom").write_text("x 1\n")
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    assert polled("textfile", textfile_directory=tmp_path).left_out == {
        "textfile": "ImportError: prometheus_client is not installed; "
        "expected the extra `textfile` of pattoo_mp"
    }


def test_the_library_is_loaded_only_for_a_directory() -> None:
    """Not for a table, nor for a family that is on without one: it takes more than all other families."""
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


def test_nobody_is_read_twice_for_one_poll(tmp_path: Path) -> None:
    """Files that do not change cost a look, and give the very same figures."""
    (tmp_path / "a.prom").write_text("x 1\n")
    files = TextFiles(tmp_path)
    assert files.read().shape is files.read().shape


# How many different series somebody else may make.


@pytest.fixture
def now() -> list[float]:
    """The time (s), for a test to go on with."""
    return [1000.0]


@pytest.fixture
def admission(now: list[float]) -> CardinalityLimit[str]:
    """One for three."""
    return CardinalityLimit(3, lambda: now[0])


def test_the_first_ones_are_admitted(admission: CardinalityLimit[str]) -> None:
    """As many as there may be, and no more."""
    assert admission.admit("abcd") == set("abc")
    assert admission.admit("abcd") == set("abc")


def test_who_is_admitted_stays_whoever_comes_before_it(admission: CardinalityLimit[str]) -> None:
    """A chart does not end because another begins."""
    admission.admit("bcd")
    assert admission.admit("abcd") == set("bcd")


def test_what_comes_and_goes_does_not_make_room_at_once(
    admission: CardinalityLimit[str], now: list[float]
) -> None:
    """Labels that change all the time would make new series for ever."""
    admission.admit("abc")
    now[0] += 3600
    assert admission.admit("ade") == {"a"}
    assert admission.admit("acb") == set("abc")


def test_a_day_after_it_went_it_makes_room(
    admission: CardinalityLimit[str], now: list[float]
) -> None:
    """A host changes in a year; one may take its place."""
    admission.admit("abc")
    now[0] += 3600
    admission.admit("ab")
    now[0] += 86_399
    assert admission.admit("abd") == set("ab")
    now[0] += 1
    assert admission.admit("abd") == set("abd")
    assert admission.admit("abdc") == set("abd")
