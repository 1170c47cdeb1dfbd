"""The simulated fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.fleet.simulation import Scenario, simulate

SITE = Scenario(agents=500, interval_s=60, jitter_s=15, ends_s=600)


def test_the_same_scenario_gives_the_same_run() -> None:
    """Another seed gives other arrivals."""
    assert simulate(SITE).server.arrivals == simulate(SITE).server.arrivals
    other = simulate(replace(SITE, down_s=(150, 300), seed=2)).server.arrivals
    assert other != simulate(replace(SITE, down_s=(150, 300))).server.arrivals


def test_jitter_spreads_the_posts_of_a_tick() -> None:
    """Without jitter all posts come in one second; with it, no second has many more than its share."""
    together = simulate(replace(SITE, jitter_s=0))
    spread = simulate(SITE)
    assert together.peak(60, 600) == 500
    assert spread.peak(60, 600) < 3 * 500 / 15
    assert len(together.server.answered) == len(spread.server.answered)


@pytest.mark.parametrize("agents", [500, 3000])
def test_after_an_outage_every_backlog_is_delivered(agents: int) -> None:
    """The back-off spreads the attempts, and all backlogs are gone within a minute."""
    run = simulate(replace(SITE, agents=agents, down_s=(150, 400)))
    assert run.peak(400, 600) < agents / 5
    assert 400 < run.empty_at < 460


def test_agents_that_the_server_refuses_try_again() -> None:
    """They are more than its queue holds, but get through before the next tick."""
    run = simulate(Scenario(agents=4000, interval_s=60, jitter_s=0, ends_s=300))
    assert run.server.turned_away > 0
    assert len(run.server.answered) == 4000 * 5
