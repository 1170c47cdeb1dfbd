"""What is polled of a host's devices, as it is configured."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect.filters import Filter, Filters
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.doctor.polls import DEFAULT, DEFAULT_CONFIG

#: How the original agent chooses: disks by expressions, mounts by a word.
ORIGINAL_DISKS = re.compile(r"ram\d{1,3}\Z|loop")
NAMES = st.one_of(
    st.from_regex(r"(ram|loop|zram|sd)[0-9a-z]{0,4}", fullmatch=True),
    st.text(alphabet="ramlopdocke/0123456789\n\udcff", max_size=20),
)


def test_by_default_everything_is_wanted_but_what_the_original_leaves_out() -> None:
    """No family beside its own."""
    assert DEFAULT.families == ORIGINAL
    assert DEFAULT.filesystems == DEFAULT.interfaces == Filter()


@given(NAMES)
def test_the_default_disks_are_those_of_the_original(name: str) -> None:
    """Whatever a disk is called."""
    assert DEFAULT.disks.accepts(name) == (not ORIGINAL_DISKS.match(name))


@given(NAMES)
def test_the_default_mounts_are_those_of_the_original(name: str) -> None:
    """Docker's are not polled, wherever they lie."""
    assert DEFAULT.mounts.accepts(name) == ("docker" not in name)


@pytest.mark.parametrize(
    ("include", "exclude", "accepted"),
    [
        (("*",), (), ["eth0", "eth1", "lo", "veth7a"]),
        (("eth*",), (), ["eth0", "eth1"]),
        (("eth*", "lo"), ("*1",), ["eth0", "lo"]),
        (("*",), ("veth*", "lo"), ["eth0", "eth1"]),
        (("[!v]*",), ("eth?",), ["lo"]),
        ((), (), []),
    ],
)
def test_a_filter_wants_what_is_included_and_not_excluded(
    include: tuple[str, ...], exclude: tuple[str, ...], accepted: list[str]
) -> None:
    """A whole name has to match, and an exclusion has the last word."""
    names = ["eth0", "eth1", "lo", "veth7a"]
    assert list(filter(Filter(include, exclude).accepts, names)) == accepted


def test_a_star_goes_over_slashes() -> None:
    """A mount below another is matched too; case counts."""
    below = Filter(("/srv/*",))
    assert below.accepts("/srv/a/b")
    assert not below.accepts("/SRV/a")
    assert not below.accepts("/srv")


def test_settings_become_what_is_wanted() -> None:
    """Each pair of settings is the filter of its kind."""
    configured = replace(
        DEFAULT_CONFIG,
        families=("uptime",),
        families_off=("memory",),
        interfaces_exclude=("veth*",),
        mounts_include=("/", "/srv"),
    )
    assert Filters.of(configured) == replace(
        DEFAULT,
        families=("system", "processor", "partitions", "disk_io", "network", "uptime"),
        interfaces=Filter(exclude=("veth*",)),
        mounts=Filter(("/", "/srv"), ("*docker*",)),
    )
