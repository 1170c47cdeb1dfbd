"""Reading and checking the TLS and credential files."""

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
    """A file with this content."""
    path.write_bytes(content)
    path.chmod(mode)  # at last: it may not allow writing, not even for us
    return path


def tls_problem(trust: Trust) -> str:
    """The only problem of these files; `tls_context` raises the same."""
    (problem,) = credential_problems(trust)
    assert str(problem).isprintable()
    with pytest.raises(TrustError) as raised:
        tls_context(trust)
    assert str(raised.value) == str(problem)
    return str(problem)


def test_valid_files_have_no_problem(authority: Authority) -> None:
    """The CA alone, the client certificate alone, and both."""
    certificate, key = authority.client()
    assert credential_problems(Trust(authority.file)) == []
    assert credential_problems(Trust(None, certificate, key)) == []
    assert credential_problems(Trust(authority.file, certificate, key)) == []


def test_without_files_openssl_is_not_imported() -> None:
    """It takes 3 MB, which an agent with plain HTTP does not need."""
    program = (
        "import sys; from pattoo_mp.config.secrets import credential_problems; "
        "from pattoo_mp.config.values import NO_FILES; "
        "print(credential_problems(NO_FILES), 'ssl' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[] False\n"


@pytest.mark.parametrize("content", [b"", b"no", GARBAGE, b"\0" * 100])
def test_a_ca_file_without_certificates_is_refused(tmp_path: Path, content: bytes) -> None:
    """With what was expected."""
    path = written(tmp_path / "ca.pem", content)
    line = f"tls_ca_file: {path} has invalid content; expected CA certificates in PEM"
    assert tls_problem(Trust(path)) == line


def test_a_missing_ca_file_is_refused(tmp_path: Path) -> None:
    """With the system's error message."""
    path = tmp_path / "ca.pem"
    assert tls_problem(Trust(path)) == (
        f"tls_ca_file: {path} cannot be read (No such file or directory); "
        "expected CA certificates in PEM"
    )


def test_the_bad_file_of_certificate_and_key_is_named(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL itself does not say which."""
    certificate, key = authority.client()
    bad = written(tmp_path / "bad", b"no")
    assert tls_problem(Trust(None, bad, key)).startswith(
        f"tls_certificate_file: {bad} has invalid content"
    )
    assert tls_problem(Trust(None, certificate, bad)).startswith(
        f"tls_key_file: {bad} has invalid content"
    )


def test_the_key_of_another_certificate_is_refused(authority: Authority) -> None:
    """The two files must match."""
    certificate, _ = authority.client()
    _, other = authority.client()
    assert "is the key of another certificate" in tls_problem(Trust(None, certificate, other))


def test_a_certificate_without_its_key_is_refused(authority: Authority, tmp_path: Path) -> None:
    """The key is neither in the same file nor in tls_key_file."""
    certificate, _ = authority.client()
    alone = written(tmp_path / "alone", certificate.read_bytes())
    assert "with its key in the same file or in tls_key_file" in tls_problem(Trust(None, alone))


def test_a_key_without_its_certificate_is_refused(authority: Authority) -> None:
    """It has no effect, and is most likely a mistake."""
    _, key = authority.client()
    (problem,) = credential_problems(Trust(None, None, key))
    assert str(problem) == (
        f"tls_key_file: {key} has no certificate; expected tls_certificate_file to be set too"
    )


def test_a_key_with_a_pass_phrase_is_refused_without_a_prompt(
    authority: Authority, tmp_path: Path
) -> None:
    """A daemon has no terminal to ask on."""
    certificate, key = authority.client()
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    locked.chmod(0o600)
    assert "has a pass phrase" in tls_problem(Trust(None, certificate, locked))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_key_that_other_users_can_access_is_refused(
    authority: Authority, tmp_path: Path, mode: int
) -> None:
    """In its own file, and in the same file as the certificate."""
    certificate, key = authority.client()
    open_key = written(tmp_path / "key", key.read_bytes(), mode)
    both = written(tmp_path / "both", key.read_bytes() + certificate.read_bytes(), mode)
    wrong = (
        f"is accessible to other users than its owner (mode {mode:04o}); "
        "expected a file of the agent's user, with mode 0600 or 0400"
    )
    assert tls_problem(Trust(None, certificate, open_key)) == f"tls_key_file: {open_key} {wrong}"
    assert tls_problem(Trust(None, both)) == f"tls_certificate_file: {both} {wrong}"


def test_a_fifo_in_place_of_a_key_is_refused_at_once(authority: Authority, tmp_path: Path) -> None:
    """Opening it would wait for a writer."""
    certificate, _ = authority.client()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert "is not a regular file" in tls_problem(Trust(None, certificate, fifo))


def test_all_bad_files_are_reported_together(tmp_path: Path) -> None:
    """With one error each."""
    missing = tmp_path / "missing"
    found = credential_problems(Trust(missing, missing, missing))
    assert [problem.setting for problem in found] == ["tls_ca_file", "tls_certificate_file"]


def test_replacing_a_file_changes_the_stamp(authority: Authority, tmp_path: Path) -> None:
    """By a rename, as tools do that renew certificates, and by removing it."""
    path = written(tmp_path / "ca.pem", authority.file.read_bytes())
    trust = Trust(path)
    first = trust.stamp()
    assert trust.stamp() == first
    written(tmp_path / "new.pem", authority.file.read_bytes()).replace(path)
    second = trust.stamp()
    assert second != first
    path.unlink()
    assert trust.stamp() not in {first, second}


# --- credentials


@pytest.mark.parametrize("token", ["s3cret", "eyJhbGciOi.J9-_~+/x==", "a" * 4096])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_single_word_is_a_bearer_token(tmp_path: Path, token: str, end: bytes) -> None:
    """With or without a line end."""
    path = written(tmp_path / "credentials", token.encode() + end)
    assert authorization(SERVER, path) == f"Bearer {token}"


@pytest.mark.parametrize("kind", [SERVER, PROXY])
@pytest.mark.parametrize(
    "line", ["user:s3cret", "user:", "user:with spaces: and : colons", "üser:pässwörd"]
)
def test_a_line_with_a_colon_is_basic_authentication(
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
def test_other_content_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    """The error names the file and what is expected."""
    path = written(tmp_path / "credentials", content)
    with pytest.raises(TrustError) as refused:
        authorization(SERVER, path)
    assert str(refused.value) == (
        f"credentials_file: {path} has invalid content; "
        "expected one line: a bearer token, or user:password"
    )


def test_a_token_for_a_proxy_is_refused(tmp_path: Path) -> None:
    """Only user:password is supported there."""
    path = written(tmp_path / "credentials", b"s3cret")
    with pytest.raises(TrustError, match="expected one line: user:password"):
        authorization(PROXY, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o620])
def test_a_credentials_file_that_other_users_can_access_is_refused(
    tmp_path: Path, mode: int
) -> None:
    """Its content is not secret any more."""
    path = written(tmp_path / "credentials", b"s3cret", mode)
    (problem,) = credential_problems(Trust(credentials_file=path))
    assert str(problem) == (
        f"credentials_file: {path} is accessible to other users than its owner (mode {mode:04o}); "
        "expected a file of the agent's user, with mode 0600 or 0400"
    )


def test_a_missing_file_or_a_directory_is_refused(tmp_path: Path) -> None:
    """With one error each."""
    found = credential_problems(
        Trust(credentials_file=tmp_path / "x", proxy_credentials_file=tmp_path)
    )
    assert [str(problem) for problem in found] == [
        f"credentials_file: {tmp_path}/x cannot be read (No such file or directory); "
        "expected one line: a bearer token, or user:password",
        f"proxy_credentials_file: {tmp_path} is not a regular file; "
        "expected a file of the agent's user, with mode 0600 or 0400",
    ]


def test_the_file_must_belong_to_the_user_but_root_may_check_it(home: Path) -> None:
    """--check as root gives the same result as a start of the agent."""
    path = written(home / "credentials", b"s3cret")
    home.chmod(0o755)
    assert authorization(SERVER, path) == "Bearer s3cret"
    if os.geteuid() == 0:
        with pytest.raises(AssertionError, match="cannot be read"):
            as_nobody(lambda: authorization(SERVER, path))
        os.chown(path, NOBODY, NOBODY)
    assert as_nobody(lambda: authorization(SERVER, path)) == "Bearer s3cret"
    assert authorization(SERVER, path) == "Bearer s3cret"
