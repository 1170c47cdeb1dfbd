"""A short torture run; `make torture` does long ones."""

from __future__ import annotations

import shutil

import pytest

from tests.torture.run import torture

#: A seed that leads to faults of the server, the processes, the spool and the clock.
SEED = 19


@pytest.mark.timeout(150)
def test_the_account_is_right_after_fifteen_seconds_of_faults() -> None:
    """With faults of the server, processes and spool, every loss is reported."""
    story: list[str] = []
    verdict = torture(SEED, 15, 10, story.append, spool=True, keep=False)
    assert verdict.failures == [], "\n".join([*story, verdict.table])


@pytest.mark.timeout(150)
def test_the_receiver_has_every_value_once_after_kills() -> None:
    """With the same faults, and the receiver killed every few seconds."""
    story: list[str] = []
    verdict = torture(SEED, 10, 10, story.append, spool=False, keep=False, store=True)
    assert verdict.failures == [], "\n".join([*story, verdict.table])


@pytest.mark.timeout(180)
@pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's package prometheus has it")
def test_the_account_of_each_output_is_right_after_fifteen_seconds_of_faults() -> None:
    """One output is of kind pattoo, the other of kind remote_write, to a real Prometheus."""
    story: list[str] = []
    verdict = torture(SEED, 15, 10, story.append, spool=True, keep=False, outputs=2)
    assert verdict.failures == [], "\n".join([*story, verdict.table])
    assert any(what == "metrics: polls received" for what, _ in verdict.rows)
