"""Who this host is to the server: its identity, and the name that its series carry."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp import identity
from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.errors import IdentityError
from pattoo_mp.model import Origin
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Stands in a look at the host for the identity that is not made yet.
_NONE_YET: Final = "0" * 64
#: A start waits for the name server.
_SLOW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Name:
    """Who this host is, as far as it is known; `error` says what is wrong with its identity."""

    origin: Origin
    error: str
    took_s: float

    @property
    def is_new(self) -> bool:
        """Whether the identity is not made yet."""
        return self.origin.agent_id == _NONE_YET


def identity_error(path: Path) -> str:
    """Why the identity at `path` is of no use; empty if it is good, or none is there yet."""
    return _identity(path)[1]


def _identity(path: Path) -> tuple[str, str]:
    if path.exists():
        try:
            return identity.known(path), ""
        except IdentityError as bad:
            return _NONE_YET, str(bad)
    return _NONE_YET, ""


def look(path: Path, configured: str | None = None) -> Name:
    """Read the identity at `path`, make none, and ask for the host's name if none is configured."""
    agent_id, error = _identity(path)
    begun = time.monotonic()
    hostname = identity.host_name(configured)
    return Name(Origin(agent_id, hostname), error, time.monotonic() - begun)


def findings(name: Name) -> Iterator[Finding]:
    """A line for the identity, and one for the name."""
    if name.error:
        yield trouble("identity", name.error, "mend the file; a new identity begins new charts")
    elif name.is_new:
        yield well("identity", "none yet; it is made at the first start")
    else:
        yield well("identity", f"{name.origin.agent_id[:8]}…")
    hostname, took = name.origin.hostname, text.duration(name.took_s)
    if name.took_s > _SLOW_S:
        yield note("host name", f"{hostname}, after {took}", "see to the name server: starts wait")
    elif hostname.partition(".")[0] == "localhost":
        yield note(
            "host name", hostname,
            "name this host (hostnamectl, /etc/hosts): its charts are found by its name",
        )  # fmt: skip
    else:
        yield well("host name", hostname)
