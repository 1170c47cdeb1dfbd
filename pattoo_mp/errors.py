"""The errors of pattoo_mp.

PattooError                 one line for the user: what, where, what was expected
├── ConfigError             a setting or a configuration file is wrong (exit status 2)
├── AlreadyRunningError     another agent holds the lock (exit status 1)
├── StartError              the agent could not be started (exit status 1)
├── IdentityError           the agent's identity file cannot be used
├── SpoolError              the spool cannot be opened, or another agent uses it
├── SupervisorError         supervisord refused or could not be reached
│   └── NotOurSupervisorError   it runs the agent, but we lack the right to control it
├── StatusError             what answered on the status socket is no status of this release
├── SetupError              the host could not be set up, or existing files prevent it
├── TrustError              a certificate, a key or a credential cannot be used
├── KeyringError            gpg, or a key in the agent's key ring, cannot be used
├── WireError               a layout or a poll that must not be sent
├── StoreError              the receiver's database cannot be used
└── Refused                 a post that a pattoo server would refuse (the receiver's answer)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.util.files import reason

if TYPE_CHECKING:
    from collections.abc import Sequence


def where_and_why(error: OSError) -> str:
    """Return the start of a message about a system error: the file concerned and the reason."""
    if not error.filename:
        return f"system: {error.strerror}"
    return f"{error.filename}: {reason(error, Path(error.filename))}"


class PattooError(Exception):
    """Base of all errors that are shown to the user as one line."""


class ConfigError(PattooError):
    """One or more settings are invalid; `problems` holds one line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AlreadyRunningError(PattooError):
    """Another agent with the same directories is already running."""


class StartError(PattooError):
    """The agent could not start; the message says why."""


class IdentityError(PattooError):
    """The agent's identity file is unusable."""


class SpoolError(PattooError):
    """The spool cannot be used."""


class SupervisorError(PattooError):
    """supervisord could not be reached, or refused a request."""


class NotOurSupervisorError(SupervisorError):
    """supervisord runs, but we lack the right or the password to control it."""


class StatusError(PattooError):
    """The answer on the status socket is not a status that this release can read."""


class SetupError(PattooError):
    """An installation could not be completed or removed."""


class TrustError(PattooError):
    """The file named by `setting` cannot be used; `wrong` says why, `expected` what it should be."""

    def __init__(self, setting: str, path: object, wrong: str, expected: str) -> None:
        super().__init__(f"{setting}: {path} {wrong}; expected {expected}")
        self.setting = setting
        self.path = path
        self.wrong = wrong
        self.expected = expected


class KeyringError(PattooError):
    """GnuPG or one of its keys cannot be used."""


class WireError(PattooError):
    """Data that must never be sent, since it would harm a pattoo server."""
