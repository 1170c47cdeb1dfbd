"""Each family, a whole poll, and the bare psutil calls of a poll."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import Layout, Origin
from tests.benchmarks.calls import answers
from tests.support.sources import BY_DEFAULT

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from pattoo_mp.collect.source import Source

ORIGIN = Origin("a5" * 32, "localhost")


@pytest.mark.parametrize("source", BY_DEFAULT, ids=lambda source: source.name)
def test_family(benchmark: BenchmarkFixture, source: Source) -> None:
    """One source: its answer."""
    try:
        source.read()
    except (OSError, NotImplementedError) as error:
        pytest.skip(f"not on this host: {error}")
    benchmark(source.read)


def test_bare_calls(benchmark: BenchmarkFixture) -> None:
    """The cost of psutil itself."""
    benchmark(answers)


def test_poll(benchmark: BenchmarkFixture) -> None:
    """A poll of all families, packed."""
    benchmark(Poller(BY_DEFAULT, ORIGIN, 100).poll, 1)


def test_layout(benchmark: BenchmarkFixture) -> None:
    """The series of all families and the layout's identifier, made once for each change of the host."""
    samples = []
    for source in BY_DEFAULT:
        try:
            samples.append((source, source.read().shape))
        except (OSError, NotImplementedError):
            continue

    def make() -> str:
        about = host.metadata(ORIGIN.hostname, 2)
        series = [s for source, shape in samples for s in source.series(shape, about)]
        return Layout(ORIGIN, 100, tuple(series)).identifier

    benchmark(make)
