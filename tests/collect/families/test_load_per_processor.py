"""Load average per processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.load_per_processor import divide_load
from tests.support.hosts import polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("processors", "load"), [(1, 64.0), (2, 32.0), (256, 0.25)])
def test_the_load_is_divided_by_the_number_of_processors(
    processors: int, load: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same load is high for one processor and low for many."""
    ProcFS(tmp_path / "proc", monkeypatch).processors(processors)
    monkeypatch.setattr("pattoo_mp.collect.host.load_average", lambda: (64.0, 32.0, 0.0))
    monkeypatch.setattr("pattoo_mp.collect.host.cpus", lambda: processors)
    assert polled("load_per_processor").figures == {
        "load_per_processor_01min": load,
        "load_per_processor_05min": load / 2,
        "load_per_processor_15min": 0.0,
    }


@pytest.mark.parametrize("processors", [None, 0])
def test_an_unknown_number_of_processors_is_refused(processors: int | None) -> None:
    """The family is left out."""
    with pytest.raises(NotImplementedError, match="how many processors"):
        divide_load((1.0, 1.0, 1.0), processors)
