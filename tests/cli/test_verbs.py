"""Test of the help texts."""

from __future__ import annotations

import re

import pytest

from pattoo_mp.cli.verbs import OPTIONS, Option


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_help_of_an_option_names_its_verbs(option: Option) -> None:
    """Exactly the verbs with which the command line accepts it."""
    assert set(re.findall(r"--[a-z-]+", option.help)) == set(option.goes_with)
