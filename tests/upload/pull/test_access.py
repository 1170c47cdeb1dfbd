"""Who may ask: by address and by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import NO_FILES, PULL, Output, Trust
from pattoo_mp.upload.pull.access import Access
from pattoo_mp.upload.pull.http import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = "192.0.2.7"


def access(listen: str = "0.0.0.0:5000", *allow: str, trust: Trust = NO_FILES) -> Access:
    """Who may ask an output that listens there."""
    return Access(Output(PULL, PULL, (), trust, listen=listen, allow=allow))


def refusal(made: Access, address: str, header: str = "", *, is_original: bool = False) -> int:
    """The status with which a request is refused; 0 if it is not."""
    headers = {"authorization": header} if header else {}
    try:
        made.check(address, headers, is_original=is_original)
    except RefusedError as refused:
        return refused.answer.status
    return 0


def test_a_spoke_as_the_original_has_one_page_for_strangers() -> None:
    """Everything for this host, and for others only what an original has for everybody."""
    made = access()
    assert made.admits(STRANGER)
    assert refusal(made, STRANGER, is_original=True) == 0
    assert refusal(made, STRANGER) == 403
    assert refusal(made, "127.0.0.1") == refusal(made, "::1") == 0


def test_networks_are_let_in() -> None:
    """And this host, always; then they get all pages."""
    made = access("0.0.0.0:5000", "10.0.0.0/8", "2001:db8::/32")
    assert [made.admits(a) for a in ("10.1.2.3", "2001:db8::9", "127.0.0.1", "::1")] == [True] * 4
    assert [made.admits(a) for a in (STRANGER, "2001:db9::1", "11.0.0.1")] == [False] * 3
    assert refusal(made, "10.1.2.3") == 0


def test_a_token_is_needed_for_every_page(tmp_path: Path) -> None:
    """Also by this host; a wrong one of any kind is none."""
    tokens = tmp_path / "tokens"
    tokens.write_text("# for hubs\n\none\ntwo\n")
    tokens.chmod(0o600)
    made = access(trust=Trust(tokens_file=tokens))
    for header in ("Bearer one", "bearer two", "BEARER  two "):
        assert refusal(made, STRANGER, header) == 0
    for header in (
        "",
        "one",
        "Bearer",
        "Bearer ",
        "Bearer onetwo",
        "Basic one",
        "Bearer # for hubs",
        "Bearer \xff",
    ):
        assert refusal(made, "127.0.0.1", header, is_original=True) == 401


def test_a_file_of_tokens_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    """It is named, and read again once it is back."""
    tokens = tmp_path / "tokens"
    made = access(trust=Trust(tokens_file=tokens))
    assert refusal(made, STRANGER, "Bearer one") == 401
    assert str(tokens) in made.trouble
    tokens.touch(0o600)
    tokens.write_text("one\n")
    assert refusal(made, STRANGER, "Bearer one") == 0
    assert made.trouble == ""
    tokens.chmod(0o644)
    tokens.write_text("one\ntwo\n")
    assert refusal(made, STRANGER, "Bearer one") == 401
    assert "accessible to other users" in made.trouble


@pytest.mark.parametrize("listen", ["127.0.0.1:5000", "[::1]:5000", "localhost:1", "127.9.9.9:2"])
def test_an_address_of_this_host_is_not_exposed(listen: str) -> None:
    """So nothing has to say who may ask."""
    assert not Output(PULL, PULL, (), NO_FILES, listen=listen).is_exposed
