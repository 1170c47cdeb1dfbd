"""Files that hold what names the agent."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.secrets import PROXY, SERVER, authorization, credential_problems
from pattoo_mp.config.values import Trust
from pattoo_mp.errors import TrustError
from tests.support.unprivileged import NOBODY, as_nobody

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """A file that holds this."""
    path.touch()
    path.chmod(mode)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("token", ["s3cret", "eyJhbGciOi.J9-_~+/x==", "a" * 4096])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_word_is_a_bearer_token(tmp_path: Path, token: str, end: bytes) -> None:
    """With a line end or without."""
    path = written(tmp_path / "credentials", token.encode() + end)
    assert authorization(SERVER, path) == f"Bearer {token}"


@pytest.mark.parametrize("kind", [SERVER, PROXY])
@pytest.mark.parametrize(
    "line", ["user:s3cret", "user:", "user:with spaces: and : colons", "üser:pässwörd"]
)
def test_a_line_with_a_colon_is_a_user_with_a_password(
    tmp_path: Path, kind: object, line: str
) -> None:
    """For a server and for a proxy."""
    path = written(tmp_path / "credentials", line.encode() + b"\n", 0o400)
    scheme, _, rest = authorization(kind, path).partition(" ")  # type: ignore[arg-type]
    assert (scheme, b64decode(rest).decode()) == ("Basic", line)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b":s3cret", b"s3cret two", b"s3cret\nuser:s3cret", b"user:s3cret\x00", b"s3cret\xff", b"user:\xff",
     b"=s3cret", "s\N{LATIN SMALL LETTER E WITH ACUTE}cret".encode(), b"a" * 4097, b"user:\x1b[31m"],
)  # fmt: skip
def test_what_is_neither_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    """The line names the file, and what is expected."""
    path = written(tmp_path / "credentials", content)
    with pytest.raises(TrustError) as refused:
        authorization(SERVER, path)
    assert str(refused.value) == (
        f"credentials_file: {path} does not hold that; "
        "expected one line: a bearer token, or user:password"
    )


def test_a_proxy_is_shown_no_token(tmp_path: Path) -> None:
    """It knows none."""
    path = written(tmp_path / "credentials", b"s3cret")
    with pytest.raises(TrustError, match="expected one line: user:password"):
        authorization(PROXY, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o620])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """What it holds is a secret no longer."""
    path = written(tmp_path / "credentials", b"s3cret", mode)
    (problem,) = credential_problems(Trust(credentials_file=path))
    assert str(problem) == (
        f"credentials_file: {path} may be used by others than its owner (mode {mode:04o}); "
        "expected a file of the agent's user, with mode 0600 or 0400"
    )


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    """With a line for each."""
    found = credential_problems(
        Trust(credentials_file=tmp_path / "x", proxy_credentials_file=tmp_path)
    )
    assert [str(problem) for problem in found] == [
        f"credentials_file: {tmp_path}/x cannot be read (No such file or directory); "
        "expected one line: a bearer token, or user:password",
        f"proxy_credentials_file: {tmp_path} is not a regular file; "
        "expected a file of the agent's user, with mode 0600 or 0400",
    ]


def test_a_file_is_its_owners_and_root_may_ask_for_that_user(home: Path) -> None:
    """So --check as root says the same as the agent's start."""
    path = written(home / "credentials", b"s3cret")
    home.chmod(0o755)
    assert authorization(SERVER, path) == "Bearer s3cret"
    if os.geteuid() == 0:
        with pytest.raises(AssertionError, match="cannot be read"):
            as_nobody(lambda: authorization(SERVER, path))
        os.chown(path, NOBODY, NOBODY)
    assert as_nobody(lambda: authorization(SERVER, path)) == "Bearer s3cret"
    assert authorization(SERVER, path) == "Bearer s3cret"
