"""Settings that do nothing as long as another is as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pattoo_mp.config import look
from pattoo_mp.settings import AGENT_FILE, defaults
from pattoo_mp.without_effect import without_effect
from tests.support.agent import NAME, Agent

SOME = Path("/srv")


@pytest.mark.parametrize(
    ("families", "directory", "told"),
    [
        ((), None, []),
        (("textfile",), SOME, []),
        (
            ("uptime",),
            SOME,
            ["textfile_directory: is not read, as families does not name textfile"],
        ),
        (
            ("textfile",),
            None,
            ["families: textfile gives nothing, as textfile_directory is not set"],
        ),
        (None, None, []),
    ],
)
def test_a_directory_and_its_family_belong_together(
    families: tuple[str, ...] | None, directory: Path | None, told: list[str]
) -> None:
    """One without the other is told of; a value that is refused is told of elsewhere."""
    values = {**defaults(), "families": families, "textfile_directory": directory}
    assert list(without_effect(values)) == told


def test_a_look_at_the_files_tells_of_it(home: Path) -> None:
    """With the file and the section, as --check and --doctor show it."""
    agent = Agent(home)
    agent.write(AGENT_FILE, f"{NAME}:\n  textfile_directory: /srv\n")
    reading = look(agent.configuration)
    assert reading.problems == ()
    assert reading.notes == (
        f"{agent.configuration}/{AGENT_FILE}: {NAME}: textfile_directory: is not read, "
        f"as families does not name textfile",
    )
