"""A short torture run; `make torture` does long ones."""

from __future__ import annotations

import pytest

from tests.torture.run import torture

#: A seed that leads to faults of the server, the processes and the spool.
SEED = 19


@pytest.mark.timeout(150)
def test_the_account_is_right_after_fifteen_seconds_of_faults() -> None:
    """With faults of the server, processes and spool, every loss is reported."""
    story: list[str] = []
    verdict = torture(SEED, 15, 10, story.append, spool=True, keep=False)
    assert verdict.failures == [], "\n".join([*story, verdict.table])
