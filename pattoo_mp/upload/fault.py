"""Of what kind the error of a post is."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fault(Enum):
    """Of what kind the error of a post is."""

    REFUSED = "the data may be bad, or the server ill"
    TOO_LARGE = "smaller posts may be taken"
    BUSY = "the server asks to wait"
    NOT_PATTOO = "something else answers, or the agent is configured wrongly"
    DENIED = "a key, a certificate or a credential is wrong: a person has to see to it"
    NO_NAME = "the server's name is not known"
    LATE = "no whole answer in time"
    PROXY = "the proxy is not there, or does not connect to the server"
    UNREACHABLE = "no answer that says anything"
    OURS = "this host lacks what a post takes; the server was not asked"


# What a person may do about an error of a post, by its kind: as docs/troubleshooting.md has it.

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
