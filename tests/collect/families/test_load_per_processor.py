"""Load in proportion to processors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.load_per_processor import shared
from tests.support.hosts import polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("processors", "load"), [(1, 64.0), (2, 32.0), (256, 0.25)])
def test_the_load_is_shared_by_the_processors(
    processors: int, load: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same load is much for one and nothing for many."""
    ProcFS(tmp_path / "proc", monkeypatch).processors(processors)
    monkeypatch.setattr("psutil.getloadavg", lambda: (64.0, 32.0, 0.0))
    monkeypatch.setattr("psutil.cpu_count", lambda: processors)
    assert polled("load_per_processor").figures == {
        "load_per_processor_01min": load,
        "load_per_processor_05min": load / 2,
        "load_per_processor_15min": 0.0,
    }


@pytest.mark.parametrize("processors", [None, 0])
def test_a_host_that_does_not_count_its_processors_says_so(processors: int | None) -> None:
    """The family is left out."""
    with pytest.raises(NotImplementedError, match="how many processors"):
        shared((1.0, 1.0, 1.0), processors)
