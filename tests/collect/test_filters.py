"""The filters that choose which of a host's devices are polled."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect.filters import Filter, Filters
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.doctor.polls import DEFAULT, DEFAULT_CONFIG

#: The disks that the original agent leaves out. It leaves out mounts by a word.
ORIGINAL_DISKS = re.compile(r"ram\d{1,3}\Z|loop")
NAMES = st.one_of(
    st.from_regex(r"(ram|loop|zram|sd)[0-9a-z]{0,4}", fullmatch=True),
    st.text(alphabet="ramlopdocke/0123456789\n\udcff", max_size=20),
)


def test_the_default_families_are_those_of_the_original() -> None:
    """All their devices are accepted, but for those that the original leaves out."""
    assert DEFAULT.families == ORIGINAL
    assert DEFAULT.filesystems == DEFAULT.interfaces == Filter()


@given(NAMES)
def test_the_default_disks_are_those_of_the_original(name: str) -> None:
    """Whatever a disk is called."""
    assert DEFAULT.disks.accepts(name) == (not ORIGINAL_DISKS.match(name))


@given(NAMES)
def test_the_default_mounts_are_those_of_the_original(name: str) -> None:
    """Docker's are not polled, whatever their path."""
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
def test_a_filter_accepts_included_names_that_are_not_excluded(
    include: tuple[str, ...], exclude: tuple[str, ...], accepted: list[str]
) -> None:
    """A pattern must match the whole name, and an exclusion takes precedence."""
    names = ["eth0", "eth1", "lo", "veth7a"]
    assert list(filter(Filter(include, exclude).accepts, names)) == accepted


def test_a_star_matches_slashes() -> None:
    """A mount below another matches too. Case matters."""
    below = Filter(("/srv/*",))
    assert below.accepts("/srv/a/b")
    assert not below.accepts("/SRV/a")
    assert not below.accepts("/srv")


def test_settings_become_filters() -> None:
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
