"""Settings that do nothing as long as another is as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pattoo_mp.config.consistency import unused_settings
from pattoo_mp.config.load import read_files
from pattoo_mp.config.settings import AGENT_FILE, defaults
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
    assert list(unused_settings(values)) == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"intervals": {"memory": 1000, "inodes": 1000}},
         ["intervals: inodes is not polled, as it is off"]),
        ({"intervals": {"memory": 1000}, "families_off": ("memory",)},
         ["intervals: memory is not polled, as it is off"]),
        ({"intervals": {"inodes": 1000}, "families": ("inodes",)}, []),
        ({"post_jitter": 300.0}, []),
        ({"post_jitter": 400.0}, ["post_jitter: is 300, the shortest interval, and not 400"]),
        ({"post_jitter": 60.0, "intervals": {"memory": 10_000}},
         ["post_jitter: is 10, the shortest interval, and not 60"]),
        ({"post_jitter": 60.0, "intervals": {"memory": 10_000}, "families_off": None}, []),
        ({"post_jitter": 400.0, "polling_interval": None}, []),
    ],
)  # fmt: skip
def test_an_interval_of_what_is_off_and_a_post_put_off_for_too_long_are_told(
    changes: dict[str, object], told: list[str]
) -> None:
    """Both are taken, and do not do what they say."""
    assert list(unused_settings({**defaults(), **changes})) == told


def test_a_look_at_the_files_tells_of_it(home: Path) -> None:
    """With the file and the section, as --check and --doctor show it."""
    agent = Agent(home)
    agent.write(AGENT_FILE, f"{NAME}:\n  textfile_directory: /srv\n")
    reading = read_files(agent.configuration)
    assert reading.problems == ()
    assert reading.notes == (
        f"{agent.configuration}/{AGENT_FILE}: {NAME}: textfile_directory: is not read, "
        f"as families does not name textfile",
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ["tls_ca_file: is not used, as neither servers nor proxy has https"]),
        ({"servers": ("http://x",), "tls_ca_file": None}, []),
        ({"servers": ("http://x", "https://y")}, []),
        ({"proxy": "https://x:3128"}, []),
        ({"servers": None}, []),
    ],
)
def test_a_file_for_tls_takes_something_that_is_spoken_to_with_it(
    changes: dict[str, object], told: list[str]
) -> None:
    """A server with https, or a proxy."""
    values = {**defaults(), "tls_ca_file": SOME, **changes}
    assert list(unused_settings(values)) == told
