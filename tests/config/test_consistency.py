"""Settings that do nothing as long as another is as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pattoo_mp.config.consistency import contradictory_settings, misplaced, unused_settings
from pattoo_mp.config.load import read_files
from pattoo_mp.config.settings import AGENT_FILE, LATER_SHARED_FILE, SERVER, SHARED_FILE, defaults
from tests.support.agent import NAME, Agent
from tests.support.configs import config_in

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


# Settings that are good each for itself, and not together.

FILE = Path("/etc/pattoo/credentials")


def told(**settings: object) -> list[str]:
    """What is said of a configuration with these."""
    return [
        str(problem) for problem in contradictory_settings(config_in(Path("/nowhere"), **settings))
    ]


@pytest.mark.parametrize(
    "servers",
    [("https://x",), ("https://x", "https://y"), ("http://127.0.0.1:1",), ("http://[::1]",),
     ("http://localhost:20201", "https://x"), ()],
)  # fmt: skip
def test_credentials_go_out_with_tls_or_stay_on_this_host(servers: tuple[str, ...]) -> None:
    """Where a tunnel may begin."""
    assert told(servers=servers, credentials_file=FILE) == []


@pytest.mark.parametrize(
    ("settings", "server"),
    [({"servers": ("https://x", "http://y:80/z")}, "http://y:80/z"),
     ({"ip_address": "192.0.2.1", "ip_bind_port": 20201}, "http://192.0.2.1:20201"),
     ({"servers": ("http://localhost.example.org",)}, "http://localhost.example.org")],
)  # fmt: skip
def test_credentials_never_go_out_in_the_clear(settings: dict[str, object], server: str) -> None:
    """To no server of the list, and not to the one that the shared file names."""
    assert told(**settings, credentials_file=FILE) == [
        f"credentials_file: {FILE} would go in the clear to {server}; expected servers with https"
    ]
    assert told(**settings) == []


@pytest.mark.parametrize("proxy", [None, "direct"])
def test_credentials_for_a_proxy_take_one(proxy: str | None) -> None:
    """That of the environment has its own in its URL."""
    assert told(proxy=proxy, proxy_credentials_file=FILE) == [
        f"proxy_credentials_file: {FILE} is for no proxy; expected the URL of one in proxy"
    ]
    assert told(proxy="http://x:3128", proxy_credentials_file=FILE) == []


# Settings in the wrong place.


def told_as_misplaced(file: str, section: str, **settings: object) -> list[str]:
    """What is said of these settings there."""
    return list(misplaced({file: {section: settings}}))


def test_a_setting_in_its_place_is_not_worth_a_word() -> None:
    """The server's section may be in either of two files."""
    assert told_as_misplaced(SHARED_FILE, "pattoo", log_level="info", language="en") == []
    assert told_as_misplaced(SHARED_FILE, SERVER, ip_address="x") == []
    assert told_as_misplaced(LATER_SHARED_FILE, SERVER, ip_bind_port=1) == []


@pytest.mark.parametrize(
    ("file", "section", "key", "place"),
    [
        (SHARED_FILE, "pattoo", "ip_address", f"{SHARED_FILE}, section {SERVER}"),
        (SHARED_FILE, "pattoo", "polling_interval", f"{AGENT_FILE}, section {AGENT_FILE[:-5]}"),
        (SHARED_FILE, AGENT_FILE[:-5], "polling_interval",
         f"{AGENT_FILE}, section {AGENT_FILE[:-5]}"),
        (LATER_SHARED_FILE, "pattoo", "log_level", f"{SHARED_FILE}, section pattoo"),
    ],
)  # fmt: skip
def test_a_setting_in_another_place_is_told_with_its_own(
    file: str, section: str, key: str, place: str
) -> None:
    """It would be thought to be in force."""
    assert told_as_misplaced(file, section, **{key: 1}) == [
        f"{file}: {section}: {key} is not read there, but in {place}"
    ]


def test_a_slip_of_the_pen_is_told_with_what_may_be_meant() -> None:
    """Other programs' settings are left alone."""
    assert told_as_misplaced(SHARED_FILE, "pattoo", log_levle="info", db_name="x", cache=1) == [
        f"{SHARED_FILE}: pattoo: log_levle is not known to this agent; it knows log_level"
    ]
    assert told_as_misplaced(SHARED_FILE, "pattoo_db", username="x", log_levle=1) == []
