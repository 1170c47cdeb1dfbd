"""A gpg-agent that ends with us, be it by SIGKILL.

gpg starts one for whatever takes a secret key, which then stays. `gpg-agent --daemon COMMAND` looks every
few seconds whether the command still runs, and ends with it (gpg-agent(1)). Here the command is a
`cat`, which runs as long as we hold its input open.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.util.process import taken_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A pass phrase is random and long here: to derive a key of it slowly, as for words that a person
#: remembers, would add nothing but time: half a second for each session (GnuPG 2.2.2 or later).
QUICK: Final = ("--s2k-count", "65536")

_ALONE: Final = ("--log-file", "/dev/null", "--disable-scdaemon")
_STEP_S: Final = 5.0
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
        readable, _, _ = select.select([holder.stdout], [], [], _STEP_S)
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
            timeout=_STEP_S,
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
