"""The kinds of failed posts, and the operator's advice for each."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fault(Enum):
    """The kind of a failed post."""

    REFUSED = "the data may be bad, or the server may be failing"
    TOO_LARGE = "the server may accept smaller posts"
    BUSY = "the server asks to wait"
    NOT_PATTOO = "something else answers, or the agent is configured wrongly"
    DENIED = "a key, a certificate or a credential is wrong: the operator must act"
    NO_NAME = "the server's name cannot be resolved"
    LATE = "no complete answer in time"
    PROXY = "the proxy does not answer, or does not connect to the server"
    UNREACHABLE = "no meaningful answer"
    OURS = "this host lacks something for the post; nothing was sent"
    NO_ROUTE = "this host has no way to this server; nothing was sent"


#: The faults of this host.
HERE: Final = frozenset({Fault.OURS, Fault.NO_ROUTE})

#: The setting that names a receiver of remote write.
RECEIVER: Final = "url"
#: Operator advice for each kind of failed post, as in docs/troubleshooting.md. `named` are the
#: settings that name the server, `expected` what is expected there.
_ADVICE: Final[Mapping[Fault, str]] = {
    Fault.REFUSED: "the server is failing, or its disk is full: check the server's log and disk",
    Fault.NOT_PATTOO: "something other than {expected} answers there, such as a captive portal: check "
    "{named} and any proxy in between",
    Fault.DENIED: "fix what the error names; waiting does not help",
    Fault.TOO_LARGE: "a proxy in front of the server says so: raise its limits",
    Fault.BUSY: "a proxy in front of the server says so: wait, or raise its limits",
    Fault.NO_NAME: "check the name server; or correct the name in {named}, or use an address",
    Fault.LATE: "check the server, which may hang, and the network to it, which may be slow or drop "
    "packets",
    Fault.OURS: "fix that on this host; it says nothing about the server",
    Fault.NO_ROUTE: "fix that on this host; it says nothing about the server",
    Fault.PROXY: "check that proxy names a running proxy, and check its rules and log",
}


#: A receiver of remote write that is failing answers 5xx. Any other refusal without a known reason
#: is of the request as a whole.
_ADVICE_OF_RECEIVERS: Final[Mapping[Fault, str]] = {
    **_ADVICE,
    Fault.REFUSED: "check the path in {named}, and the server's log",
}


def advice(fault: Fault, named: str) -> str:
    """Return the advice for a fault; empty if the error itself says all there is to say."""
    known = _ADVICE_OF_RECEIVERS if named == RECEIVER else _ADVICE
    return known.get(fault, "").format(named=named, expected=expected(named))


def expected(named: str) -> str:
    """Return what is expected where the settings `named` point."""
    return "a remote write receiver" if named == RECEIVER else "pattoo"
