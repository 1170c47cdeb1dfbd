"""One attempt to deliver the oldest post, and what follows from the server's answer.

    accepted               next post after the usual spacing; sooner if more polls wait
    refused, too large     retry with half the polls, soon; a single poll refused again and again
                           goes into quarantine. Both only while the server is healthy; otherwise
                           back off
    busy                   wait as long as the server asks for, plus back-off
    not pattoo, denied     retry slowly: the operator must act
    late                   retry with half the polls, with back-off: the network or the server may
                           be slow
    unreachable            retry with back-off
    not sent               the same: this host lacked something, which says nothing about the server.
                           Another server may be reachable if this host has no route to this one

Something on the way may refuse a large post without saying why: by a reset, or by any status. So
after some failures in a row, for which there was a connection to post on, a single poll is tried. If
only that is accepted, retry with half the polls, soon.

A single poll that a way does not take must not hold up the others either. If it keeps failing alone,
and the server accepts a test post each time, a later poll is tried, alone as well. Only if that is
accepted, the polls before it go into quarantine. A way that takes no poll puts none there.

A server whose disk is full refuses all posts, although its status page says that it is well. So a
poll goes into quarantine only if the server accepts a test post (docs/decisions/007).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.post import Attempt
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from pattoo_mp.upload.answer import Outcome
    from pattoo_mp.upload.failover import Servers
    from pattoo_mp.upload.pacing import Backoff
    from pattoo_mp.upload.post import Post, Source

_LOG = logging.getLogger(__name__)

_NOT_PATTOO: Final = (
    "this is not how a pattoo server answers a post: check ip_address and ip_bind_port of "
    "pattoo_agent_api, or servers, and any proxy in between"
)


class Transport(Protocol):
    """Posts to one server, one post at a time."""

    @property
    def url(self) -> str:
        """Where posts go, for display."""

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for a failure of the network or the server; see the outcome."""

    def is_healthy(self) -> bool:
        """Whether the server's status page says that it is well."""

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server accepts a test post, whose envelope has the time `envelope_ms`."""

    def close(self) -> None:
        """Cut off the current exchange and refuse all later ones. Callable from any thread."""


class Deliverer(Protocol):
    """What delivers an output's polls. The kinds of outputs differ in this, and in the transport."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to deliver."""

    def attempt(self) -> Attempt | None:
        """Try to deliver one post. Return None if there was none."""

    def host_failed(self, trouble: str, fault: Fault = Fault.OURS) -> Attempt:
        """Return a failed attempt for which this host is to blame, not the server."""


class OldPosts(Protocol):
    """The original agent's unsent posts, as counts."""

    taken: int
    bad: int
    refused: int

    @property
    def waiting(self) -> int:
        """How many are still to be delivered."""


#: Makes a `Deliverer` for a transport, with what gives the time of a post (ms) and the back-off.
MakeDeliverer = Callable[["Transport", Callable[[], int], "Backoff"], Deliverer]


@dataclass(frozen=True, slots=True)
class Sender:
    """What posts to an output: its servers, and what delivers to them.

    The posts in `legacy` are counted in the output's state.
    """

    servers: Servers
    deliverer: MakeDeliverer
    legacy: OldPosts | None = None


class Delivery:
    """Delivers from the first of `sources` that has a post."""

    #: What to add to an answer that is not that of a server of this kind.
    not_understood = _NOT_PATTOO

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
        #: What the server said last about posts that it accepted.
        self._warning = ""

    @property
    def waiting(self) -> bool:
        """Whether any source has something to deliver."""
        return any(source.waiting for source in self._sources)

    def attempt(self) -> Attempt | None:
        """Try to deliver one post. Return None if there was none."""
        for source in self._sources:
            post = source.oldest() if source.waiting else None
            if post is not None:
                return self._try(source, post)
        return None

    def host_failed(self, trouble: str, fault: Fault = Fault.OURS) -> Attempt:
        """Return a failed attempt for which this host is to blame, not the server."""
        return Attempt(trouble=trouble, wait_s=self._backoff.failed(fault), fault=fault)

    def _try(self, source: Source, post: Post) -> Attempt:
        more = sum(each.waiting for each in self._sources) > post.polls
        outcome = self._transport.post(post.agent_id, post.body)
        if not outcome.delivered:
            return self._not_accepted(source, post, outcome)
        if outcome.warning and outcome.warning != self._warning:
            self._warning = outcome.warning
            _LOG.warning("The server accepted a post, and says: %s", outcome.warning)
        polls = post.accepted()
        self._backoff.succeeded()
        source.batch_limit.accepted()
        return Attempt("", polls, len(post.body), more, post.span_s, at_once=source.in_turn)

    def _not_accepted(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        match outcome.fault:
            case Fault.REFUSED | Fault.TOO_LARGE:
                return self._refused(source, post, outcome)
            case Fault.OURS | Fault.NO_ROUTE:
                return self.host_failed(outcome.error, outcome.fault)
            case Fault.LATE if outcome.reached and post.polls > 1:
                source.batch_limit.late(post.polls)
                _LOG.info(
                    "No answer in time to a post of %s; trying %d.",
                    counted(post.polls, "poll"),
                    source.batch_limit.polls,
                )
            case _ if outcome.reached and post.polls == 1:
                return self._failed_alone(source, post, outcome)
            case _ if outcome.reached and self._blames_size(source, post, outcome):
                return Attempt(outcome.error, wait_s=outcome.retry_after_s, fault=outcome.fault)
        return self._failed(outcome)

    def _blames_size(self, source: Source, post: Post, outcome: Outcome) -> bool:
        """Note a failure that says nothing about the size. Return whether the size is to blame."""
        if source.batch_limit.failed(post.polls):
            _LOG.info(
                "Posts of %s fail, which may be due to their size; trying %d: %s",
                counted(post.polls, "poll"),
                source.batch_limit.polls,
                outcome.error,
            )
        return source.batch_limit.blames_size

    def _failed(self, outcome: Outcome, remark: str = "") -> Attempt:
        if not remark and outcome.fault is Fault.NOT_PATTOO:
            remark = self.not_understood
        error = f"{outcome.error}; {remark}" if remark else outcome.error
        wait_s = self._backoff.failed(outcome.fault, outcome.retry_after_s)
        return Attempt(error, wait_s=wait_s, fault=outcome.fault)

    def _refused(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        can_be_split = outcome.fault is Fault.TOO_LARGE and post.polls > 1
        if not can_be_split and not self._transport.is_healthy():
            is_alone = post.polls == 1
            return self._failed_alone(source, post, outcome) if is_alone else self._failed(outcome)
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
        """Move a poll into quarantine, unless the server accepts no posts at all."""
        if not self._transport.accepts_posts(post.agent_id, self._envelope_ms()):
            source.batch_limit.reset_refusals()
            return self._failed(outcome, "it refuses a test post, too")
        _LOG.error(
            "The server keeps refusing %s; moved to quarantine: %s", post.head, outcome.error
        )
        post.set_aside(outcome.error)
        return Attempt(outcome.error, fault=outcome.fault)

    def _failed_alone(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        """Try a later poll if a single one keeps failing, although the server accepts a test post.

        One test post is no proof: it may be accepted because an outage has just ended.
        """
        if source.batch_limit.failed_alone(post.head) and self._nth(source, 1):
            if not self._transport.accepts_posts(post.agent_id, self._envelope_ms()):
                source.batch_limit.reset_refusals()
            elif passed_by := source.batch_limit.stay_alone():
                return self._pass_by(source, passed_by, outcome)
        return self._failed(outcome)

    def _pass_by(self, source: Source, number: int, outcome: Outcome) -> Attempt:
        """Move the oldest `number` polls into quarantine if the one after them is accepted."""
        before = [self._nth(source, each) for each in range(number)]
        later = self._nth(source, number)
        if later is None or not self._transport.post(later.agent_id, later.body).delivered:
            return self._failed(outcome)
        # The server ignores what is older than that poll, so they cannot be sent any more.
        for passed in filter(None, before):
            _LOG.error(
                "The way to the server does not take %s, but a later one; moved to quarantine: %s",
                passed.head,
                outcome.error,
            )
            passed.set_aside(outcome.error)
        polls = later.accepted()
        self._backoff.succeeded()
        source.batch_limit.accepted()
        return Attempt("", polls, len(later.body), self.waiting, later.span_s)

    def _nth(self, source: Source, number: int) -> Post | None:
        """Make the post of a single poll: the one after `number` older ones, `source` being first."""
        for each in self._sources[self._sources.index(source) :]:
            if number < each.waiting:
                return each.single(number)
            number -= each.waiting
        return None
