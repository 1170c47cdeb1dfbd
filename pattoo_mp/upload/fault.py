"""Of what kind the error of a post is."""

from __future__ import annotations

from enum import Enum


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
