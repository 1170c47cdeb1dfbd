"""Secrets that stand where they should not."""

from __future__ import annotations

import pytest

from pattoo_mp.config.yaml_files import redacted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://user:s3cret@host/x", "…@host/x"),
        ("user:s3cret@host", "…@host"),
        ("https://s3cret@host", "…@host"),
        ("http://user:s3/c@r:et@host", "…@host"),
        ("http://user:s3c\nret@host", "…@host"),
        (["a", "http://user:s3cret@host"], ["a", "…@host"]),
        ({"http://user:s3cret@host": {"b": "user:s3cret@host"}}, {"…@host": {"b": "…@host"}}),
    ],
)
def test_user_and_password_are_not_shown(value: object, shown: object) -> None:
    """Wherever they stand in a value."""
    assert redacted(value) == shown


@pytest.mark.parametrize("value", ["/a/b", "http://host:80/x", "a@b", 7, None, True, ["x"], 1.5])
def test_what_holds_none_is_shown_as_it_is(value: object) -> None:
    """Also an address that is none of a URL's."""
    assert redacted(value) == value
