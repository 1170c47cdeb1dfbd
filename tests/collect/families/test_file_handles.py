"""File handles, on several kernels."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.file_handles import parse
from tests.support.hosts import be, polled


@pytest.mark.parametrize(
    ("host", "allocated", "limit"),
    [("laptop", 11712, 2**63 - 1), ("old", 1632, 386_774), ("container", 0, 100_000)],
)
def test_the_hosts_open_files_are_counted(
    host: str, allocated: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many are open, and the limit."""
    be(host, monkeypatch)
    assert polled("file_handles").figures == {
        "file_handles_allocated": allocated,
        "file_handles_limit": limit,
    }


@pytest.mark.parametrize("line", ["5 6 100", "5 -1 100", "5 0 -1", "5 0", "x 0 100", ""])
def test_impossible_figures_are_refused(line: str) -> None:
    """The poller will leave the family out, with the reason."""
    with pytest.raises(ValueError, match=r"impossible|expected 3|not a number"):
        parse(line)
