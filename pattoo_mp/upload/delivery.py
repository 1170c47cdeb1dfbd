"""One attempt to deliver the oldest post, and what follows from the server's answer.

    taken                  the next one, after the usual spacing; sooner if more is waiting
    refused, too large     a smaller one, soon; a single poll that is refused again and again is
                           set aside; but only while the server is well: an ill one is waited for
    busy                   as long as the server asks for, and a little more
    not pattoo, denied     slowly: a person has to look
    late                   a smaller one, with back-off: the way may be slow, or the server
    unreachable            again, with back-off
    not asked              the same; this host lacked something, which says nothing of the server

A server whose disk is full refuses all posts, and its status page says that it is well. So before
a poll is set aside the server has to take an empty post.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.post import Attempt
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.upload.answer import Outcome
    from pattoo_mp.upload.pacing import Backoff
    from pattoo_mp.upload.post import Post, Source

_LOG = logging.getLogger(__name__)

_LOOK: Final = (
    "this is not how a pattoo server takes posts: check ip_address and ip_bind_port of "
    "pattoo_agent_api, or servers, and what stands between"
)


class Transport(Protocol):
    """Posts to one server, one post at a time."""

    @property
    def url(self) -> str:
        """Where posts go, for a person."""

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""

    def is_healthy(self) -> bool:
        """Whether the server says that it is well."""

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server takes a post that cannot be bad; `envelope_ms` is its time."""

    def close(self) -> None:
        """Cut off the exchange that goes on, and refuse all later ones. For any thread."""


class Delivery:
    """Delivers from the first of `sources` that has something."""

    def __init__(
        self,
        sources: Sequence[Source],
        transport: Transport,
        envelope_ms: Callable[[], int],
        backoff: Backoff,
    ) -> None:
        self._sources = sources
        self._transport = transport
        self._envelope_ms = envelope_ms
        self._backoff = backoff

    @property
    def waiting(self) -> bool:
        """Whether there is anything to deliver."""
        return any(source.waiting for source in self._sources)

    def attempt(self) -> Attempt | None:
        """Try once; None if there was nothing to try."""
        for source in self._sources:
            post = source.oldest() if source.waiting else None
            if post is not None:
                return self._try(source, post)
        return None

    def broken(self, trouble: str) -> Attempt:
        """What follows where something of our own failed."""
        return Attempt(trouble=trouble, wait_s=self._backoff.failed(Fault.OURS))

    def _try(self, source: Source, post: Post) -> Attempt:
        more = sum(each.waiting for each in self._sources) > post.polls
        outcome = self._transport.post(post.agent_id, post.body)
        if not outcome.delivered:
            return self._not_taken(source, post, outcome)
        polls = post.accepted()
        self._backoff.succeeded()
        source.batch_limit.accepted()
        return Attempt("", polls, len(post.body), more, post.span_s)

    def _not_taken(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        match outcome.fault:
            case Fault.REFUSED | Fault.TOO_LARGE:
                return self._refused(source, post, outcome)
            case Fault.NOT_PATTOO:
                return self._failed(outcome, _LOOK)
            case Fault.OURS:
                return self.broken(outcome.error)
            case Fault.LATE if outcome.reached and post.polls > 1:
                source.batch_limit.late(post.polls)
                _LOG.info(
                    "No answer in time to a post of %s; trying %d.",
                    counted(post.polls, "poll"),
                    source.batch_limit.polls,
                )
        return self._failed(outcome)

    def _failed(self, outcome: Outcome, remark: str = "") -> Attempt:
        error = f"{outcome.error}; {remark}" if remark else outcome.error
        wait_s = self._backoff.failed(outcome.fault, outcome.retry_after_s)
        return Attempt(error, wait_s=wait_s, fault=outcome.fault)

    def _refused(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        can_be_split = outcome.fault is Fault.TOO_LARGE and post.polls > 1
        if not can_be_split and not self._transport.is_healthy():
            return self._failed(outcome)
        if can_be_split:
            source.batch_limit.too_large(post.polls)
        elif source.batch_limit.refused(post.polls, post.head):
            return self._quarantine(source, post, outcome)
        if post.polls > 1:
            _LOG.info(
                "The server refused a post of %s; trying %d.",
                counted(post.polls, "poll"),
                source.batch_limit.polls,
            )
        return Attempt(outcome.error, fault=outcome.fault)

    def _quarantine(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        """Set a poll aside, unless the server takes nothing at all."""
        if not self._transport.accepts_posts(post.agent_id, self._envelope_ms()):
            source.batch_limit.reset_refusals()
            return self._failed(outcome, "it takes no empty post either")
        _LOG.error("The server refuses %s; it is set aside: %s", post.head, outcome.error)
        post.set_aside(outcome.error)
        return Attempt(outcome.error, fault=outcome.fault)
