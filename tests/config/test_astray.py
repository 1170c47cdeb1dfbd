"""Settings in the wrong place."""

from __future__ import annotations

import pytest

from pattoo_mp.config.consistency import misplaced
from pattoo_mp.config.settings import AGENT_FILE, LATER_SHARED_FILE, SERVER, SHARED_FILE


def told(file: str, section: str, **settings: object) -> list[str]:
    """What is said of these settings there."""
    return list(misplaced({file: {section: settings}}))


def test_a_setting_in_its_place_is_not_worth_a_word() -> None:
    """The server's section may be in either of two files."""
    assert told(SHARED_FILE, "pattoo", log_level="info", language="en") == []
    assert told(SHARED_FILE, SERVER, ip_address="x") == []
    assert told(LATER_SHARED_FILE, SERVER, ip_bind_port=1) == []


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
    assert told(file, section, **{key: 1}) == [
        f"{file}: {section}: {key} is not read there, but in {place}"
    ]


def test_a_slip_of_the_pen_is_told_with_what_may_be_meant() -> None:
    """Other programs' settings are left alone."""
    assert told(SHARED_FILE, "pattoo", log_levle="info", db_name="x", cache=1) == [
        f"{SHARED_FILE}: pattoo: log_levle is not known to this agent; it knows log_level"
    ]
    assert told(SHARED_FILE, "pattoo_db", username="x", log_levle=1) == []
