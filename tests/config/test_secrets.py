"""The files for TLS, looked at before anything is asked of a server."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.secrets import PROXY, SERVER, authorization, credential_problems, tls_context
from pattoo_mp.config.values import Trust
from pattoo_mp.errors import TrustError
from tests.support.tls import Authority
from tests.support.unprivileged import NOBODY, as_nobody

if TYPE_CHECKING:
    from pathlib import Path


GARBAGE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA with files."""
    return Authority(tmp_path_factory.mktemp("ca"))


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """A file that holds this."""
    path.touch()
    path.chmod(mode)
    path.write_bytes(content)
    return path


def told(trust: Trust) -> str:
    """The one problem there is; who would use the files is told the same."""
    (problem,) = credential_problems(trust)
    assert str(problem).isprintable()
    with pytest.raises(TrustError) as raised:
        tls_context(trust)
    assert str(raised.value) == str(problem)
    return str(problem)


def test_files_that_are_good_are_no_problem(authority: Authority) -> None:
    """The CA alone, our certificate alone, and both."""
    certificate, key = authority.client()
    assert credential_problems(Trust(authority.file)) == []
    assert credential_problems(Trust(None, certificate, key)) == []
    assert credential_problems(Trust(authority.file, certificate, key)) == []


def test_where_no_file_is_named_nothing_is_imported_for_it() -> None:
    """Who posts in plain HTTP has no use for OpenSSL, which takes 3 MB."""
    program = (
        "import sys; from pattoo_mp.config.secrets import credential_problems; "
        "from pattoo_mp.config.values import NO_FILES; "
        "print(credential_problems(NO_FILES), 'ssl' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[] False\n"


@pytest.mark.parametrize("content", [b"", b"no", GARBAGE, b"\0" * 100])
def test_a_ca_file_without_certificates_is_refused(tmp_path: Path, content: bytes) -> None:
    """The line says what was expected."""
    path = written(tmp_path / "ca.pem", content)
    line = f"tls_ca_file: {path} does not hold that; expected certificates of CAs, in PEM"
    assert told(Trust(path)) == line


def test_a_ca_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the system's word for it."""
    path = tmp_path / "ca.pem"
    assert told(Trust(path)) == (
        f"tls_ca_file: {path} cannot be read (No such file or directory); "
        "expected certificates of CAs, in PEM"
    )


def test_of_a_certificate_and_its_key_the_bad_one_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    """OpenSSL itself does not say which."""
    certificate, key = authority.client()
    bad = written(tmp_path / "bad", b"no")
    assert told(Trust(None, bad, key)).startswith(f"tls_certificate_file: {bad} does not hold that")
    assert told(Trust(None, certificate, bad)).startswith(f"tls_key_file: {bad} does not hold that")


def test_the_key_of_another_certificate_is_refused(authority: Authority) -> None:
    """They do not belong together."""
    certificate, _ = authority.client()
    _, other = authority.client()
    assert "is the key of another certificate" in told(Trust(None, certificate, other))


def test_a_certificate_without_its_key_is_refused(authority: Authority, tmp_path: Path) -> None:
    """It is neither in the same file nor named."""
    certificate, _ = authority.client()
    alone = written(tmp_path / "alone", certificate.read_bytes())
    assert "with its key there or in tls_key_file" in told(Trust(None, alone))


def test_a_key_without_its_certificate_is_refused(authority: Authority) -> None:
    """It is of no use, and most often a slip."""
    _, key = authority.client()
    (problem,) = credential_problems(Trust(None, None, key))
    assert str(problem) == (
        f"tls_key_file: {key} is the key of no certificate; expected tls_certificate_file beside it"
    )


def test_a_key_with_a_pass_phrase_is_refused_and_not_asked_for(
    authority: Authority, tmp_path: Path
) -> None:
    """Nobody is there to type it."""
    certificate, key = authority.client()
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    locked.chmod(0o600)
    assert "has a pass phrase" in told(Trust(None, certificate, locked))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_key_that_others_may_use_is_refused(
    authority: Authority, tmp_path: Path, mode: int
) -> None:
    """In its own file, and beside the certificate."""
    certificate, key = authority.client()
    open_key = written(tmp_path / "key", key.read_bytes(), mode)
    both = written(tmp_path / "both", key.read_bytes() + certificate.read_bytes(), mode)
    wrong = (
        f"may be used by others than its owner (mode {mode:04o}); "
        "expected a file of the agent's user, with mode 0600 or 0400"
    )
    assert told(Trust(None, certificate, open_key)) == f"tls_key_file: {open_key} {wrong}"
    assert told(Trust(None, both)) == f"tls_certificate_file: {both} {wrong}"


def test_what_hangs_in_the_place_of_a_key_is_not_waited_for(
    authority: Authority, tmp_path: Path
) -> None:
    """A FIFO that nobody writes to."""
    certificate, _ = authority.client()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert "is not a regular file" in told(Trust(None, certificate, fifo))


def test_each_bad_file_has_a_line_of_its_own(tmp_path: Path) -> None:
    """All at once."""
    missing = tmp_path / "missing"
    found = credential_problems(Trust(missing, missing, missing))
    assert [problem.setting for problem in found] == ["tls_ca_file", "tls_certificate_file"]


def test_a_file_that_was_replaced_has_another_stamp(authority: Authority, tmp_path: Path) -> None:
    """By a rename, as tools renew certificates, and by writing to it."""
    path = written(tmp_path / "ca.pem", authority.file.read_bytes())
    trust = Trust(path)
    first = trust.stamp()
    assert trust.stamp() == first
    written(tmp_path / "new.pem", authority.file.read_bytes()).replace(path)
    second = trust.stamp()
    assert second != first
    path.unlink()
    assert trust.stamp() not in {first, second}


# Files that hold what names the agent.


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
