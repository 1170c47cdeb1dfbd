"""Settings without effect, in the wrong place, or in conflict with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pattoo_mp.config.consistency import conflicting_settings, misplaced_settings, unused_settings
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.settings import LATER_SHARED_FILE, SERVER, SHARED_FILE, agent_file, defaults
from tests.support.agent import NAME, Agent
from tests.support.configs import config_in

DIRECTORY = Path("/srv")


# --- settings without effect


@pytest.mark.parametrize(
    ("families", "directory", "notes"),
    [
        ((), None, []),
        (("textfile",), DIRECTORY, []),
        (
            ("uptime",),
            DIRECTORY,
            ["textfile_directory: has no effect, because families does not include textfile"],
        ),
        (
            ("textfile",),
            None,
            ["families: textfile has nothing to read, because textfile_directory is not set"],
        ),
        (None, None, []),
    ],
)
def test_textfile_and_its_directory_need_each_other(
    families: tuple[str, ...] | None, directory: Path | None, notes: list[str]
) -> None:
    """One without the other gets a note; an invalid value (None) has its own problem line."""
    values = {**defaults(), "families": families, "textfile_directory": directory}
    assert list(unused_settings(values)) == notes


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"intervals": {"memory": 1000, "inodes": 1000}},
         ["intervals: inodes is not polled, because this family is off"]),
        ({"intervals": {"memory": 1000}, "families_off": ("memory",)},
         ["intervals: memory is not polled, because this family is off"]),
        ({"intervals": {"inodes": 1000}, "families": ("inodes",)}, []),
        ({"post_jitter": 300.0}, []),
        ({"post_jitter": 400.0},
         ["post_jitter: 400 is reduced to 300, the shortest interval"]),
        ({"post_jitter": 60.0, "intervals": {"memory": 10_000}},
         ["post_jitter: 60 is reduced to 10, the shortest interval"]),
        ({"post_jitter": 60.0, "intervals": {"memory": 10_000}, "families_off": None}, []),
        ({"post_jitter": 400.0, "polling_interval": None}, []),
    ],
)  # fmt: skip
def test_intervals_of_disabled_families_and_too_long_jitter_get_a_note(
    changes: dict[str, object], notes: list[str]
) -> None:
    """Both are accepted, but have no effect as written."""
    assert list(unused_settings({**defaults(), **changes})) == notes


def test_notes_of_a_reading_name_file_and_section(home: Path) -> None:
    """As --check and --doctor show them."""
    agent = Agent(home)
    agent.write(agent_file(), f"{NAME}:\n  textfile_directory: /srv\n")
    reading = read_files(agent.configuration)
    assert reading.problems == ()
    assert reading.notes == (
        f"{agent.configuration}/{agent_file()}: {NAME}: textfile_directory: has no effect, "
        f"because families does not include textfile",
    )


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, ["tls_ca_file: has no effect, because neither servers nor proxy uses https"]),
        ({"servers": ("http://x",), "tls_ca_file": None}, []),
        ({"servers": ("http://x", "https://y")}, []),
        ({"proxy": "https://x:3128"}, []),
        ({"servers": None}, []),
    ],
)
def test_a_tls_file_needs_a_server_or_a_proxy_with_https(
    changes: dict[str, object], notes: list[str]
) -> None:
    """Otherwise it gets a note."""
    values = {**defaults(), "tls_ca_file": DIRECTORY, **changes}
    assert list(unused_settings(values)) == notes


# --- settings that must not be combined

FILE = Path("/etc/pattoo/credentials")


def conflicts(**settings: object) -> list[str]:
    """The errors of a configuration with these settings."""
    (output,) = config_in(Path("/nowhere"), **settings).outputs
    return [str(error) for error in conflicting_settings(output)]


@pytest.mark.parametrize(
    "servers",
    [("https://x",), ("https://x", "https://y"), ("http://127.0.0.1:1",), ("http://[::1]",),
     ("http://localhost:20201", "https://x"), ()],
)  # fmt: skip
def test_credentials_are_accepted_with_https_or_loopback(servers: tuple[str, ...]) -> None:
    """A loopback address may be the end of a tunnel."""
    assert conflicts(servers=servers, credentials_file=FILE) == []


@pytest.mark.parametrize(
    ("settings", "server"),
    [({"servers": ("https://x", "http://y:80/z")}, "http://y:80/z"),
     ({"ip_address": "192.0.2.1", "ip_bind_port": 20201}, "http://192.0.2.1:20201"),
     ({"servers": ("http://localhost.example.org",)}, "http://localhost.example.org")],
)  # fmt: skip
def test_credentials_without_https_are_refused(settings: dict[str, object], server: str) -> None:
    """For any server of the list, and for the one that the shared file names."""
    assert conflicts(**settings, credentials_file=FILE) == [
        f"credentials_file: {FILE} would be sent unencrypted to {server}; "
        f"expected servers with https"
    ]
    assert conflicts(**settings) == []


@pytest.mark.parametrize("proxy", [None, "direct"])
def test_proxy_credentials_without_a_proxy_are_refused(proxy: str | None) -> None:
    """A proxy from the environment has its credentials in its URL."""
    assert conflicts(proxy=proxy, proxy_credentials_file=FILE) == [
        f"proxy_credentials_file: {FILE} has no proxy to be sent to; "
        f"expected the URL of a proxy in the setting proxy"
    ]
    assert conflicts(proxy="http://x:3128", proxy_credentials_file=FILE) == []


# --- settings in the wrong place


def misplaced(file: str, section: str, **settings: object) -> list[str]:
    """The notes about these settings in this section."""
    return list(misplaced_settings({file: {section: settings}}))


def test_a_setting_in_its_section_gets_no_note() -> None:
    """The server's section may be in either of two files."""
    assert misplaced(SHARED_FILE, "pattoo", log_level="info", language="en") == []
    assert misplaced(SHARED_FILE, SERVER, ip_address="x") == []
    assert misplaced(LATER_SHARED_FILE, SERVER, ip_bind_port=1) == []


@pytest.mark.parametrize(
    ("file", "section", "key", "place"),
    [
        (SHARED_FILE, "pattoo", "ip_address", f"{SHARED_FILE}, section {SERVER}"),
        (SHARED_FILE, "pattoo", "polling_interval", f"{agent_file()}, section {agent_file()[:-5]}"),
        (SHARED_FILE, agent_file()[:-5], "polling_interval",
         f"{agent_file()}, section {agent_file()[:-5]}"),
        (LATER_SHARED_FILE, "pattoo", "log_level", f"{SHARED_FILE}, section pattoo"),
    ],
)  # fmt: skip
def test_a_misplaced_setting_is_named_with_its_right_place(
    file: str, section: str, key: str, place: str
) -> None:
    """Its author may think that it is in force."""
    assert misplaced(file, section, **{key: 1}) == [
        f"{file}: {section}: {key} is not read here, only in {place}"
    ]


def test_a_typo_in_a_shared_file_is_named_with_the_likely_setting() -> None:
    """Settings of other programs are left alone."""
    assert misplaced(SHARED_FILE, "pattoo", log_levle="info", db_name="x", cache=1) == [
        f"{SHARED_FILE}: pattoo: log_levle is not a setting of this agent; did you mean log_level?"
    ]
    assert misplaced(SHARED_FILE, "pattoo_db", username="x", log_levle=1) == []
