"""GnuPG on one key ring, with time limits, and the gpg-agent that it needs for secret keys.

python-gnupg waits for gpg without a limit, so each gpg is run by `timeout`. None may start an agent
by itself, since that agent would stay behind. Instead `gpg-agent --daemon COMMAND` is run while
secret keys are used: it checks every few seconds whether the command still runs, and ends with it
(gpg-agent(1)). The command is a `cat`, which runs while we hold its input open; so the agent ends
with us, even by SIGKILL.
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
from pattoo_mp.util.process import reaping_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


#: Our pass phrases are long and random. Deriving keys from them slowly, as is done for passwords,
#: would only cost time: half a second for each session (GnuPG 2.2.2 or later).
QUICK: Final = ("--s2k-count", "65536")

_AGENT_OPTIONS: Final = ("--log-file", "/dev/null", "--disable-scdaemon")
_AGENT_STEP_S: Final = 5.0
#: The path of a socket may have 107 bytes; this is the longest socket name of the agent.
_LONGEST_HOME: Final = 107 - len("/S.gpg-agent.browser")


class GpgAgent:
    """The gpg-agent for the key ring in `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._holder: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the agent for the code inside, which gets the name of `home` to pass to gpg.

        Raises `KeyringError`.
        """
        with _short(self._home) as home:
            _end_agent(home)  # in case a process killed a moment ago left one behind
            try:
                self._holder = _start(home)
                yield home
            finally:
                _end_agent(home)
                with reaping_orphans("gpg-agent"):
                    self._end_holder()

    def end_soon(self) -> None:
        """End the agent within seconds. Callable from any thread."""
        holder = self._holder
        if holder is not None:
            holder.terminate()

    def _end_holder(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            _end(holder)


def _start(home: str) -> subprocess.Popen[bytes]:
    try:
        holder = subprocess.Popen(  # noqa: S603 - no shell, and a path of ours
            ["gpg-agent", "--homedir", home, "--daemon", *_AGENT_OPTIONS, *QUICK, "--", "cat"],  # noqa: S607 - found as gpg is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
    except OSError as error:
        raise KeyringError(f"gpg-agent cannot be run ({error.strerror}); see --doctor") from None
    if not _echoes(holder):
        _end(holder)
        raise KeyringError(f"gpg-agent does not start for {home}")
    return holder


def _echoes(holder: subprocess.Popen[bytes]) -> bool:
    """Whether `cat` runs, which means that its agent does."""
    if holder.stdin is None or holder.stdout is None:
        return False
    with contextlib.suppress(OSError):
        holder.stdin.write(b".")
        readable, _, _ = select.select([holder.stdout], [], [], _AGENT_STEP_S)
        return bool(readable) and holder.stdout.read(1) == b"."
    return False


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    with holder:  # closes its pipes and reaps it
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
    """Yield a name for `home` that is short enough for the paths of the agent's sockets."""
    if len(os.fsencode(home)) <= _LONGEST_HOME:
        yield str(home)
        return
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/{os.getpid()}/fd/{directory}"
    finally:
        os.close(directory)


# The key ring.

T = TypeVar("T")

_STEP_S: Final = 15.0
#: A slow processor with a single core searches for the primes of a key for many seconds.
_MAKING_S: Final = 60.0
_OPTIONS: Final = ("--no-autostart", "--trust-model", "always", *QUICK)
_CIPHER: Final = "AES256"
#: A nonce is short. This stops a message that grows without end as it is decompressed.
_MAX_DECRYPTED: Final = "4096"
_NO_AGENT: Final = re.compile(
    r"^gpg: .*(gpg-agent running|connect to the agent|with the agent)", re.MULTILINE
)


class Gpg:
    """The key ring in `home`. Operations with secret keys must run inside `agent`.

    All methods raise `KeyringError`. A gpg may run for `step_s`, and longer only to make a key. For
    one thread at a time, except `close`.
    """

    def __init__(self, home: Path, step_s: float = _STEP_S) -> None:
        # The library would log arguments, and pieces of everything that is decrypted.
        logging.getLogger("gnupg").disabled = True
        self._home = home
        self._step_s = step_s
        self._made: _Bounded | None = None
        self._agent = GpgAgent(home)
        self._is_closed = False

    @contextmanager
    def agent(self) -> Iterator[None]:
        """Run a gpg-agent for the code inside."""
        library = self._library()
        with self._agent.running() as home:
            library.gnupghome = home
            try:
                yield
            finally:
                library.gnupghome = str(self._home)

    def close(self) -> None:
        """Cut off the current operation and refuse all later ones. Callable from any thread."""
        self._is_closed = True
        self._agent.end_soon()

    def make_key(self, name: str, comment: str, email: str, pass_phrase: str) -> str:
        """Make a key pair. Return its fingerprint."""

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
            return _require("make a key", str(made.fingerprint or ""), made)

        return self._do(make, _MAKING_S)

    def secret_keys(self) -> set[str]:
        """Return the fingerprints of all keys whose secret half is in the key ring."""

        def list_them(library: _Bounded) -> set[str]:
            keys = library.list_keys(secret=True)
            # If the agent does not answer, an empty list does not mean that the keys are lost.
            _require("ask for secret keys", _NO_AGENT.search(str(keys.stderr)) is None, keys)
            return {str(key["fingerprint"]) for key in keys}

        return self._do(list_them)

    def public_key(self, fingerprint: str) -> str:
        """Return the public half of a key, in armor."""
        key = self._do(lambda it: str(it.export_keys(fingerprint)))
        if not key:
            raise KeyringError(f"gpg has no public key for {fingerprint}")
        return key

    def add(self, key: str) -> set[str]:
        """Add armored public keys. Return their fingerprints."""
        return self._do(lambda it: set(map(str, it.import_keys(key).fingerprints)))

    def remove(self, fingerprints: set[str]) -> None:
        """Remove public keys."""
        if fingerprints:
            self._do(lambda it: it.delete_keys(list(fingerprints)))

    def decrypt(self, message: str, pass_phrase: str) -> bytes:
        """Decrypt a message to a key of ours, which `pass_phrase` opens."""

        def decrypt(library: _Bounded) -> bytes:
            limit = ["--max-output", _MAX_DECRYPTED]
            result = library.decrypt(message, passphrase=pass_phrase, extra_args=limit)
            return _require("decrypt", bytes(result.data) if result.ok else b"", result)

        return self._do(decrypt)

    def encrypt_to(self, fingerprint: str, data: bytes) -> str:
        """Encrypt to a public key. Return it in armor."""

        def encrypt(library: _Bounded) -> str:
            result = library.encrypt(data, [fingerprint])
            return _require("encrypt", str(result) if result.ok else "", result)

        return self._do(encrypt)

    def symmetric(self, data: bytes, pass_phrase: str) -> str:
        """Encrypt with a pass phrase. Return it in armor."""

        def encrypt(library: _Bounded) -> str:
            result = library.encrypt(data, None, symmetric=_CIPHER, passphrase=pass_phrase)
            return _require("encrypt", str(result) if result.ok else "", result)

        return self._do(encrypt)

    def _do(self, call: Callable[[_Bounded], T], limit_s: float | None = None) -> T:
        if self._is_closed:
            raise KeyringError("gpg: not run, since the agent is stopping")
        limit_s = limit_s or self._step_s
        library = self._library()
        library.limit_s = limit_s
        due = time.monotonic() + limit_s
        try:
            answer = call(library)
        except (OSError, ValueError, KeyringError) as error:
            _check_in_time(due, limit_s)
            raise KeyringError(str(error)) from None
        # The library does not report a gpg that `timeout` ended; it sees only empty output.
        _check_in_time(due, limit_s)
        return answer

    def _library(self) -> _Bounded:
        if self._made is None:
            try:
                self._made = _Bounded(self._home, self._step_s)
            except (OSError, ValueError) as error:
                raise KeyringError(f"gpg cannot be run ({error}); see --doctor") from None
        return self._made


class _Bounded(gnupg.GPG):  # type: ignore[misc]  # it has no type information
    """Limits each gpg to `limit_s`, and makes it write English in ASCII."""

    def __init__(self, home: Path, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(gnupghome=str(home), options=list(_OPTIONS))

    def make_args(self, args: list[str], passphrase: bool) -> list[str]:
        bounded: list[str] = super().make_args(args, passphrase)
        return ["env", "LC_ALL=C", "timeout", "-k", "1", f"{self.limit_s:g}", *bounded]


def _check_in_time(due: float, limit_s: float) -> None:
    if time.monotonic() >= due:
        raise KeyringError(f"gpg: no answer within {limit_s:g} s") from None


def _require(action: str, made: T, result: Any) -> T:  # noqa: ANN401 - one of many kinds
    """Return what gpg made. Raises `KeyringError`, with gpg's last line, if it made nothing."""
    if made:
        return made
    lines = [line for line in str(result.stderr).splitlines() if line.startswith("gpg: ")]
    raise KeyringError(f"gpg could not {action}: {lines[-1][5:105] if lines else 'no message'}")
