"""What the command line says of itself."""

from __future__ import annotations

import re

import pytest

from pattoo_mp.cli.verbs import OPTIONS, Option


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_help_of_an_option_names_the_verbs_that_it_goes_with(option: Option) -> None:
    """All of them and no other: with these the command line takes it."""
    assert set(re.findall(r"--[a-z-]+", option.help)) == set(option.goes_with)
