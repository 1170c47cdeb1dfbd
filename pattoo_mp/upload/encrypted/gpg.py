"""GnuPG over one key ring, bounded in time, and with no process that outlives us.

python-gnupg waits for a gpg as long as that takes, and gpg starts an agent for whatever takes a
secret key, which then stays. So here each gpg is run by `timeout`, and starts no agent: the one that
there is ends with us, be it by SIGKILL (gpg-agent(1), `--daemon` with a command).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import gnupg

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.encrypted.orphans import taken_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_STEP_S: Final = 15.0
#: A slow processor with a single core looks for the primes of a key for many seconds.
_MAKING_S: Final = 60.0
_AGENT_S: Final = 5.0
#: A pass phrase is random and long here: to derive a key of it slowly, as for words that a person
#: remembers, would add nothing but time: half a second for each session (GnuPG 2.2.2 or later).
_QUICK: Final = ("--s2k-count", "65536")
_OPTIONS: Final = ("--no-autostart", "--trust-model", "always", *_QUICK)
_CIPHER: Final = "AES256"
#: What is decrypted is a nonce; what is made to grow without end as it is unpacked is not.
_MOST_DECRYPTED: Final = "4096"
#: A socket's path has 108 bytes, and this is the longest name of the agent's.
_LONGEST_HOME: Final = 107 - len("/S.gpg-agent.browser")


class Gpg:
    """The key ring in `home`. All calls but `symmetric` need the agent that `agent` runs.

    They raise `KeyringError`. A gpg may take `step_s`, but to make a key. One thread at a time; `close`
    is for any.
    """

    def __init__(self, home: Path, step_s: float = _STEP_S) -> None:
        # What it would log are arguments, and pieces of all that is decrypted.
        logging.getLogger("gnupg").disabled = True
        self._home = home
        self._step_s = step_s
        self._made: _Bounded | None = None
        self._holder: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    @contextmanager
    def agent(self) -> Iterator[None]:
        """Run an agent for what is done inside."""
        with _short(self._home) as home:
            library = self._library()
            library.gnupghome = home
            _end_agent(home)  # one that was left, a moment ago, by a process that was killed
            try:
                self._holder = _begin_agent(home)
                yield
            finally:
                _end_agent(home)
                with taken_in("gpg-agent"):
                    self._end_holder()
                library.gnupghome = str(self._home)

    def close(self) -> None:
        """End what goes on, and let nothing else begin."""
        self._is_closed = True
        holder = self._holder
        if holder is not None:
            holder.terminate()

    def make_key(self, name: str, comment: str, email: str, pass_phrase: str) -> str:
        """Make a key pair; its fingerprint."""

        def make(library: _Bounded) -> str:
            wanted = library.gen_key_input(
                key_type="RSA",
                key_length=3072,
                name_real=name,
                name_comment=comment,
                name_email=email,
                passphrase=pass_phrase,
            )
            made = library.gen_key(wanted)
            return _must("make a key", str(made.fingerprint or ""), made)

        return self._do(make, _MAKING_S)

    def secret_keys(self) -> set[str]:
        """The fingerprints of all keys whose secret half is there."""
        return self._do(lambda it: {str(key["fingerprint"]) for key in it.list_keys(secret=True)})

    def public_key(self, fingerprint: str) -> str:
        """The public half of a key, in armor."""
        return self._do(lambda it: str(it.export_keys(fingerprint)))

    def add(self, key: str) -> set[str]:
        """Add public keys, in armor; their fingerprints."""
        return self._do(lambda it: set(map(str, it.import_keys(key).fingerprints)))

    def remove(self, fingerprints: set[str]) -> None:
        """Remove public keys."""
        if fingerprints:
            self._do(lambda it: it.delete_keys(list(fingerprints)))

    def decrypt(self, message: str, pass_phrase: str) -> bytes:
        """What was encrypted to a key of ours, which `pass_phrase` opens."""

        def decrypt(library: _Bounded) -> bytes:
            limit = ["--max-output", _MOST_DECRYPTED]
            result = library.decrypt(message, passphrase=pass_phrase, extra_args=limit)
            return _must("decrypt", bytes(result.data) if result.ok else b"", result)

        return self._do(decrypt)

    def encrypt_to(self, fingerprint: str, data: bytes) -> str:
        """Encrypt to a public key, in armor."""

        def encrypt(library: _Bounded) -> str:
            result = library.encrypt(data, [fingerprint])
            return _must("encrypt", str(result) if result.ok else "", result)

        return self._do(encrypt)

    def symmetric(self, data: bytes, pass_phrase: str) -> str:
        """Encrypt under a pass phrase, in armor."""

        def encrypt(library: _Bounded) -> str:
            result = library.encrypt(data, None, symmetric=_CIPHER, passphrase=pass_phrase)
            return _must("encrypt", str(result) if result.ok else "", result)

        return self._do(encrypt)

    def _do(self, call: Callable[[_Bounded], T], limit_s: float | None = None) -> T:
        if self._is_closed:
            raise KeyringError("gpg: nothing more is done with it, the agent ends")
        limit_s = limit_s or self._step_s
        library = self._library()
        library.limit_s = limit_s
        begun = time.monotonic()
        try:
            return call(library)
        except (OSError, ValueError, KeyringError) as error:
            late = time.monotonic() - begun >= limit_s
            raise KeyringError(
                f"gpg: no answer within {limit_s:g} s" if late else str(error)
            ) from None

    def _library(self) -> _Bounded:
        if self._made is None:
            try:
                self._made = _Bounded(self._home, self._step_s)
            except (OSError, ValueError) as error:
                raise KeyringError(f"gpg cannot be run ({error}); see --doctor") from None
        return self._made

    def _end_holder(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.kill()
            with holder:  # closes its pipes, and waits for what is dead already
                pass


class _Bounded(gnupg.GPG):  # type: ignore[misc]  # it has no type information
    """Ends each gpg after `limit_s`, and hears nothing of a gpg-agent of anybody else's."""

    def __init__(self, home: Path, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(gnupghome=str(home), options=list(_OPTIONS))

    def make_args(self, args: list[str], passphrase: bool) -> list[str]:
        bounded: list[str] = super().make_args(args, passphrase)
        return ["timeout", "-k", "1", f"{self.limit_s:g}", *bounded]


def _begin_agent(home: str) -> subprocess.Popen[bytes]:
    """Start an agent that lives as long as a `cat`, which lives as long as we do not close its input.

    The agent looks every few seconds whether the command that was started with it still runs.
    """
    alone = ("--log-file", "/dev/null", "--disable-scdaemon")
    try:
        holder = subprocess.Popen(  # noqa: S603 - no shell, and a path of ours
            ["gpg-agent", "--homedir", home, "--daemon", *alone, *_QUICK, "--", "cat"],  # noqa: S607 - as gpg is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
    except OSError as error:
        raise KeyringError(f"gpg-agent cannot be run ({error.strerror}); see --doctor") from None
    if not _echoes(holder):
        holder.kill()
        with holder:
            pass
        raise KeyringError(f"gpg-agent does not come up for {home}")
    return holder


def _echoes(holder: subprocess.Popen[bytes]) -> bool:
    """Whether the command runs: then its agent does."""
    if holder.stdin is None or holder.stdout is None:
        return False
    with contextlib.suppress(OSError):
        holder.stdin.write(b".")
        readable, _, _ = select.select([holder.stdout], [], [], _AGENT_S)
        return bool(readable) and holder.stdout.read(1) == b"."
    return False


def _end_agent(home: str) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - no shell, and a path of ours
            ["gpgconf", "--homedir", home, "--kill", "gpg-agent"],  # noqa: S607 - found as gpg is
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_AGENT_S,
            check=False,
        )


@contextmanager
def _short(home: Path) -> Iterator[str]:
    """A name for `home` below which the agent's sockets fit, however long its path is."""
    if len(os.fsencode(home)) <= _LONGEST_HOME:
        yield str(home)
        return
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/{os.getpid()}/fd/{directory}"
    finally:
        os.close(directory)


def _must(what: str, made: T, result: Any) -> T:  # noqa: ANN401 - one of many kinds
    """What gpg made. Raises `KeyringError`, with gpg's last word, if it made nothing."""
    if made:
        return made
    said = [line for line in str(result.stderr).splitlines() if line.startswith("gpg: ")]
    raise KeyringError(f"gpg could not {what}: {said[-1][5:105] if said else 'it said nothing'}")
