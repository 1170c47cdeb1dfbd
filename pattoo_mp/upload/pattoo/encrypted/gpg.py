"""A gpg-agent that ends with us, be it by SIGKILL.

gpg starts one for whatever takes a secret key, which then stays. `gpg-agent --daemon COMMAND` looks every
few seconds whether the command still runs, and ends with it (gpg-agent(1)). Here the command is a
`cat`, which runs as long as we hold its input open.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import gnupg

from pattoo_mp.errors import KeyringError
from pattoo_mp.util.process import taken_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


#: A pass phrase is random and long here: to derive a key of it slowly, as for words that a person
#: remembers, would add nothing but time: half a second for each session (GnuPG 2.2.2 or later).
QUICK: Final = ("--s2k-count", "65536")

_ALONE: Final = ("--log-file", "/dev/null", "--disable-scdaemon")
_AGENT_STEP_S: Final = 5.0
#: A socket's path has 108 bytes, and this is the longest name of the agent's.
_LONGEST_HOME: Final = 107 - len("/S.gpg-agent.browser")


class GpgAgent:
    """The agent of the key ring in `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._holder: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run it for what is done inside; the name of `home` that gpg is to be given.

        Raises `KeyringError`.
        """
        with _short(self._home) as home:
            _end_agent(home)  # one that was left, a moment ago, by a process that was killed
            try:
                self._holder = _begin(home)
                yield home
            finally:
                _end_agent(home)
                with taken_in("gpg-agent"):
                    self._end_holder()

    def end_soon(self) -> None:
        """End it within seconds, whatever it does. For any thread."""
        holder = self._holder
        if holder is not None:
            holder.terminate()

    def _end_holder(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            _end(holder)


def _begin(home: str) -> subprocess.Popen[bytes]:
    try:
        holder = subprocess.Popen(  # noqa: S603 - no shell, and a path of ours
            ["gpg-agent", "--homedir", home, "--daemon", *_ALONE, *QUICK, "--", "cat"],  # noqa: S607 - found as gpg is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
    except OSError as error:
        raise KeyringError(f"gpg-agent cannot be run ({error.strerror}); see --doctor") from None
    if not _echoes(holder):
        _end(holder)
        raise KeyringError(f"gpg-agent does not come up for {home}")
    return holder


def _echoes(holder: subprocess.Popen[bytes]) -> bool:
    """Whether the command runs: then its agent does."""
    if holder.stdin is None or holder.stdout is None:
        return False
    with contextlib.suppress(OSError):
        holder.stdin.write(b".")
        readable, _, _ = select.select([holder.stdout], [], [], _AGENT_STEP_S)
        return bool(readable) and holder.stdout.read(1) == b"."
    return False


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    with holder:  # closes its pipes, and waits for what is dead already
        pass


def _end_agent(home: str) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - no shell, and a path of ours
            ["gpgconf", "--homedir", home, "--kill", "gpg-agent"],  # noqa: S607 - found as gpg is
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_AGENT_STEP_S,
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


# GnuPG over one key ring, bounded in time.
#
# python-gnupg waits for a gpg as long as that takes; so each is run by `timeout`. None starts an agent of
# its own (gpg_agent.py).

T = TypeVar("T")

_STEP_S: Final = 15.0
#: A slow processor with a single core looks for the primes of a key for many seconds.
_MAKING_S: Final = 60.0
_OPTIONS: Final = ("--no-autostart", "--trust-model", "always", *QUICK)
_CIPHER: Final = "AES256"
#: What is decrypted is a nonce; what is made to grow without end as it is unpacked is not.
_MOST_DECRYPTED: Final = "4096"
_NO_AGENT: Final = re.compile(
    r"^gpg: .*(gpg-agent running|connect to the agent|with the agent)", re.MULTILINE
)


class Gpg:
    """The key ring in `home`. What takes a secret key has to be done inside `agent`.

    All calls raise `KeyringError`. A gpg may take `step_s`, but to make a key. One thread at a time;
    `close` is for any.
    """

    def __init__(self, home: Path, step_s: float = _STEP_S) -> None:
        # What it would log are arguments, and pieces of all that is decrypted.
        logging.getLogger("gnupg").disabled = True
        self._home = home
        self._step_s = step_s
        self._made: _Bounded | None = None
        self._agent = GpgAgent(home)
        self._is_closed = False

    @contextmanager
    def agent(self) -> Iterator[None]:
        """Run an agent for what is done inside."""
        library = self._library()
        with self._agent.running() as home:
            library.gnupghome = home
            try:
                yield
            finally:
                library.gnupghome = str(self._home)

    def close(self) -> None:
        """End what goes on, and let nothing else begin."""
        self._is_closed = True
        self._agent.end_soon()

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

        def list_them(library: _Bounded) -> set[str]:
            keys = library.list_keys(secret=True)
            # Whose agent does not answer has lost no key.
            _must("ask for secret keys", _NO_AGENT.search(str(keys.stderr)) is None, keys)
            return {str(key["fingerprint"]) for key in keys}

        return self._do(list_them)

    def public_key(self, fingerprint: str) -> str:
        """The public half of a key, in armor."""
        key = self._do(lambda it: str(it.export_keys(fingerprint)))
        if not key:
            raise KeyringError(f"gpg gives no public key for {fingerprint}")
        return key

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
        due = time.monotonic() + limit_s
        try:
            answer = call(library)
        except (OSError, ValueError, KeyringError) as error:
            _must_be_in_time(due, limit_s)
            raise KeyringError(str(error)) from None
        # The library takes one that was ended for one that had nothing to say.
        _must_be_in_time(due, limit_s)
        return answer

    def _library(self) -> _Bounded:
        if self._made is None:
            try:
                self._made = _Bounded(self._home, self._step_s)
            except (OSError, ValueError) as error:
                raise KeyringError(f"gpg cannot be run ({error}); see --doctor") from None
        return self._made


class _Bounded(gnupg.GPG):  # type: ignore[misc]  # it has no type information
    """Ends each gpg after `limit_s`, and has it speak English, in ASCII."""

    def __init__(self, home: Path, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(gnupghome=str(home), options=list(_OPTIONS))

    def make_args(self, args: list[str], passphrase: bool) -> list[str]:
        bounded: list[str] = super().make_args(args, passphrase)
        return ["env", "LC_ALL=C", "timeout", "-k", "1", f"{self.limit_s:g}", *bounded]


def _must_be_in_time(due: float, limit_s: float) -> None:
    if time.monotonic() >= due:
        raise KeyringError(f"gpg: no answer within {limit_s:g} s") from None


def _must(what: str, made: T, result: Any) -> T:  # noqa: ANN401 - one of many kinds
    """What gpg made. Raises `KeyringError`, with gpg's last word, if it made nothing."""
    if made:
        return made
    said = [line for line in str(result.stderr).splitlines() if line.startswith("gpg: ")]
    raise KeyringError(f"gpg could not {what}: {said[-1][5:105] if said else 'it said nothing'}")
