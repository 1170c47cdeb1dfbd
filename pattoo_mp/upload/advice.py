"""What a person may do about an error of a post, by its kind: as docs/troubleshooting.md has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

#: `named` are the settings that say where the server is.
_ADVICE: Final[Mapping[Fault, str]] = {
    Fault.REFUSED: "the server is ill, or its disk is full: look at the server's log and disk",
    Fault.NOT_PATTOO: "something that is not pattoo answers there, as a captive portal does: check "
    "{named}, and proxies between",
    Fault.DENIED: "mend what it names: to wait does not help",
    Fault.TOO_LARGE: "a proxy in front of the server says so: raise its limits",
    Fault.BUSY: "a proxy in front of the server says so: wait, or raise its limits",
    Fault.NO_NAME: "see to the name server; or correct the name in {named}, or use an address",
    Fault.LATE: "look at the server, which may hang, and at the way to it, which may drop or be slow",
    Fault.PROXY: "see that proxy names one that runs, and what its rules and log say",
}


def advice(fault: Fault, named: str) -> str:
    """What to do; nothing where the kind of error says no more than the error."""
    return _ADVICE.get(fault, "").format(named=named)
