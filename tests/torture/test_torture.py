"""A short torture: what `make torture` does at length."""

from __future__ import annotations

import pytest

from tests.torture.run import torture

#: Draws faults of the server, the processes and the spool.
SEED = 19


@pytest.mark.timeout(150)
def test_the_account_is_true_after_a_quarter_of_a_minute_of_faults() -> None:
    """Faults of the server, of each process and of the spool: nothing is lost that is not told."""
    story: list[str] = []
    verdict = torture(SEED, 15, 10, story.append, spool=True, keep=False)
    assert verdict.failures == [], "\n".join([*story, verdict.table])
