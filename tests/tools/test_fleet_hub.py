"""A small fleet of simulated spokes, asked by a real hub."""

from __future__ import annotations

import pytest

from tools.fleet.hub import Fleet, Run, table


@pytest.mark.timeout(120)
def test_bad_spokes_cost_the_others_no_tick() -> None:
    """Spokes that hang, are away, lie or send without end; the command writes its figures."""
    fleet = Fleet(spokes=60, hanging=5, away=4, lying=5, endless=2, interval_s=3)
    run = Run(fleet)
    try:
        found = run.measure(7.0, 6.0)
    finally:
        run.close()
    assert (found.missed, found.failed, found.unaccounted) == (0, 0, 0)
    assert found.polls >= 44
    assert found.states["well"] == 44
    assert found.states["refusing"] == 7
    text = table(fleet, found)
    assert "0 ticks missed" in text
    assert "| collector |" in text
