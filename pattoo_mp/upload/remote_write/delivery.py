"""Delivery to a remote write receiver: what follows from a refusal.

    2xx                    delivered
    refused in part        delivered; the receiver has the rest, and the refused samples are counted
    refused as a whole     narrowed down, by probes (search.py):
      old polls              there already, or never: delivered if they may be there, otherwise dropped
      bad series             in requests of their own, from now on
    other refusals         as in `upload.delivery`: fewer polls, down to one, which goes into quarantine

The info series of the host, which is in each poll, says up to when the receiver has polls. An
acceptable sample of it at a time means that all series that are polled with it are acceptable, but
for bad ones.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import now_ms
from pattoo_mp.upload.delivery import Delivery
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.post import Attempt
from pattoo_mp.upload.remote_write.answer import TOO_OLD, Refused
from pattoo_mp.upload.remote_write.message import request
from pattoo_mp.upload.remote_write.samples import Batch, only_sample, some
from pattoo_mp.upload.remote_write.search import (
    SEARCH_S,
    ProbeFailedError,
    ProbeStoredError,
    Search,
    first_true,
)
from pattoo_mp.upload.remote_write.suspects import try_suspects
from pattoo_mp.upload.spooled import SpooledPosts
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from pattoo_mp.upload.answer import Outcome
    from pattoo_mp.upload.pacing import Backoff
    from pattoo_mp.upload.post import Post, Source
    from pattoo_mp.upload.remote_write.receiver import Receiver
    from pattoo_mp.upload.remote_write.transport import RemoteWriteTransport
    from pattoo_mp.upload.spooled import Outbox

_LOG = logging.getLogger(__name__)

#: One request has at most so many samples: some 300 kB.
MAX_SAMPLES: Final = 50_000
#: Nothing is sent from further ahead of this host's clock. One sample from far ahead makes a
#: Prometheus refuse all samples of all senders.
AHEAD_S: Final = 60
#: The longest wait for the time of a poll: the clock may be set meanwhile.
_MAX_WAIT_S: Final = 30.0
_TROUBLE: Final = (
    f"polls that are more than {AHEAD_S} s ahead of this host's clock wait until their time has come: "
    "check the clock"
)
#: After these, the receiver may have stored the request.
_UNANSWERED: Final = frozenset({Fault.LATE, Fault.UNREACHABLE, Fault.PROXY})
_DUPLICATE: Final = "duplicate sample for timestamp"
#: Another value than that of info series, which is 1.
_ANOTHER: Final = 2.0


class RemoteWriteDelivery(Delivery):
    """Delivers the polls of an outbox to a receiver."""

    not_understood = (
        "this is not how a remote write receiver answers: check url of the output, and whether the "
        "receiver takes remote write"
    )

    def __init__(
        self,
        outbox: Outbox,
        transport: RemoteWriteTransport,
        receiver: Receiver,
        backoff: Backoff,
        *,
        of_spokes: bool = False,
    ) -> None:
        self._posts = SpooledPosts(
            outbox,
            lambda: 0,
            receiver.body,
            datapoints=MAX_SAMPLES,
            until_ms=lambda: now_ms() + AHEAD_S * 1000,
            one_origin=not of_spokes,
        )
        if of_spokes:
            # A probe says something of one host, and a request has the polls of many.
            receiver.can_probe = False
        super().__init__([self._posts], transport, lambda: 0, backoff)
        self._outbox = outbox
        self._receiver = receiver
        self._prober = transport

    def attempt(self) -> Attempt | None:
        """Try to deliver one request. Return None if there was nothing to send."""
        attempt = super().attempt()
        ahead_ms = self._posts.ahead_ms
        if not ahead_ms:
            return attempt
        if attempt is not None:
            # So that the trouble does not end and begin again with each request.
            self._outbox.trouble = self._outbox.trouble or _TROUBLE
            return attempt
        left_s = (ahead_ms - now_ms()) / 1000
        wait_s = min(_MAX_WAIT_S, max(0.0, left_s - AHEAD_S))
        return Attempt(trouble=_TROUBLE, wait_s=wait_s, fault=Fault.OURS)

    def _try(self, source: Source, post: Post) -> Attempt:
        self._receiver.begin(post.spooled[0].id)
        post = replace(post, accepted=partial(self._taken, post, post.polls))
        if self._receiver.presumed and self._receiver.can_probe:
            return self._narrow(source, post, None)
        return super()._try(source, post)

    def _not_accepted(self, source: Source, post: Post, outcome: Outcome) -> Attempt:
        if isinstance(outcome, Refused):
            if outcome.atomic:
                return self._narrow(source, post, outcome)
            self._receiver.refusals.note(outcome.reason, 1)
            return self._done(post, post.accepted())
        if outcome.reached and outcome.fault in _UNANSWERED:
            self._receiver.note_no_answer(post.spooled[-1].id)
        return super()._not_accepted(source, post, outcome)

    def _narrow(self, source: Source, post: Post, outcome: Refused | None) -> Attempt:
        """Find out what the receiver refuses. `outcome` is that of the whole post, if it was sent."""
        if not self._receiver.can_probe:
            return self._in_halves(source, post, outcome)
        try:
            return self._search(source, post, outcome)
        except ProbeFailedError as failed:
            return super()._not_accepted(source, post, failed.outcome)
        except ProbeStoredError:
            _LOG.info("The receiver stores what is good of a probe; none is sent any more.")
            self._receiver.can_probe = False
            self._receiver.info_after_ms = post.spooled[-1].poll.timestamp_ms
            return self._in_halves(source, post, outcome)

    def _search(self, source: Source, post: Post, outcome: Refused | None) -> Attempt:
        search = Search(self._prober)
        reason = partial(self._reason, search, post)
        if last := reason(post.polls - 1):
            first = outcome.reason if outcome is not None else reason(0)
            return self._old(post, post.polls, first, last, reason)
        begin = first_true(post.polls, lambda n: not reason(n))
        is_there = None
        if begin or self._receiver.presumed:
            # If the newest poll that the receiver has is this one, it has all before.
            is_there = reason(begin, _ANOTHER) == _DUPLICATE
            self._settle(is_there=is_there)
        if begin:
            last = reason(begin - 1)
            first = outcome.reason if outcome is not None else reason(0)
            return self._old(post, begin, first, last, reason, is_there=is_there)
        if outcome is None:
            return super()._try(source, post)
        return self._without_bad(source, post, outcome, search)

    def _reason(self, search: Search, post: Post, number: int, value: float = 1.0) -> str:
        """Return why the receiver would refuse the info sample of a poll; empty if it would not."""
        poll = post.spooled[number].poll
        info = self._receiver.encoder.rows(post.layouts[poll.layout_id]).info[0]
        return search.refusal(only_sample(info, poll.timestamp_ms, value), poll.timestamp_ms)

    def _old(
        self,
        post: Post,
        count: int,
        first: str,
        last: str,
        reason: partial[str],
        *,
        is_there: bool | None = None,
    ) -> Attempt:
        """Be done with the first `count` polls, which the receiver takes no more.

        `first` and `last` are the reasons for the first and the last of them. `is_there` says whether
        the receiver has them; None if that is not known yet.
        """
        lost = 0
        if first in TOO_OLD:
            lost = (
                count if last in TOO_OLD else first_true(count, lambda n: reason(n) not in TOO_OLD)
            )
            self._give_up(post, lost, first)
        if lost < count:
            sent = lost + self._receiver.sent(post.spooled[lost:count])
            if is_there is False and sent < count:
                self._taken(post, sent, lost, before=True)
                self._give_up(post, count, last)
            else:
                self._receiver.presumed += count - sent if is_there is None else 0
                self._taken(post, count, lost, before=True)
        return self._done(post, count, more=True)

    def _settle(self, *, is_there: bool) -> None:
        """Decide on the polls that were taken to be delivered."""
        presumed, self._receiver.presumed = self._receiver.presumed, 0
        if presumed and not is_there:
            self._outbox.take_back(presumed, _by_receiver("out of order sample"))
            _LOG.warning(
                "The receiver has later samples than %s that were taken to be delivered, and not from "
                "this agent: they count as dropped.",
                counted(presumed, "poll"),
            )

    def _without_bad(self, source: Source, post: Post, outcome: Refused, search: Search) -> Attempt:
        """Deliver what comes before the first sample of a bad series, or the polls without it."""
        batch = Batch([spooled.poll for spooled in post.spooled], post.layouts)

        def is_refused(number: int) -> bool:
            message = request(self._receiver.blocks(batch.part(0, number + 1)))
            return bool(search.refusal(message, batch.polls[number].timestamp_ms))

        good = first_true(post.polls, is_refused)
        if good == post.polls:  # the probes say that all is well, but the request was refused
            return self._in_halves(source, post, outcome)
        if not good:
            first = batch.part(0, 1)
            time_ms = first.polls[0].timestamp_ms
            blocks = self._receiver.blocks(first)
            found = search.bad_among(
                list(dict.fromkeys(labels for block in blocks for labels in block.series)),
                lambda group: search.refusal(request(some(blocks, group)), time_ms),
            )
            if not found:
                return self._in_halves(source, post, outcome)
            self._receiver.suspects.update(found)
            good = post.polls
        body = self._receiver.body(post.layouts, [s.poll for s in post.spooled[:good]])
        again = self._transport.post(post.agent_id, body)
        if not again.delivered:
            if again.reached and again.fault in _UNANSWERED:
                self._receiver.note_no_answer(post.spooled[good - 1].id)
            return self._failed(again)
        return self._done(post, self._taken(post, good), more=True)

    def _in_halves(self, source: Source, post: Post, outcome: Refused | None) -> Attempt:
        """Deliver a post that was refused as a whole in ever smaller ones, without probes."""
        if outcome is None:
            return super()._try(source, post)
        done = 0
        answer: Outcome = outcome
        parts = _halves(0, post.polls) if post.polls > 1 else [(0, 1)]
        until = time.monotonic() + SEARCH_S
        while parts and time.monotonic() < until:
            begin, end = parts.pop(0)
            polls = [s.poll for s in post.spooled[begin:end]]
            answer = self._transport.post(post.agent_id, self._receiver.body(post.layouts, polls))
            if answer.delivered:
                done = begin + self._taken(post, end, begin)
            elif not isinstance(answer, Refused) or not answer.atomic:
                break
            elif end - begin > 1:
                parts[:0] = _halves(begin, end)
            elif self._receiver.sent(post.spooled[begin:end], by_others=True):
                done = begin + self._taken(post, end, begin, before=True)
            else:
                self._give_up(post, end, answer.reason)
                done = end
        if not done:
            return super()._not_accepted(source, post, answer)
        return self._done(post, done, more=True)

    def _taken(self, post: Post, end: int, begin: int = 0, *, before: bool = False) -> int:
        """Note that the receiver has the polls from `begin` to `end`; return how many these are.

        `before` says that it had them before; otherwise, what was left out of them is sent, too.
        """
        if begin == end:
            return 0
        batch = Batch([spooled.poll for spooled in post.spooled[begin:end]], post.layouts)
        if self._receiver.suspects and not before:
            try_suspects(self._receiver, batch, self._prober)
        self._receiver.note_sent(batch)
        return self._outbox.sent(post.spooled[end - 1].id, end - begin)

    def _give_up(self, post: Post, end: int, reason: str) -> None:
        """Drop the polls up to `end`, which the receiver will never take."""
        if end:
            self._outbox.drop(post.spooled[end - 1].id, _by_receiver(reason))

    def _done(self, post: Post, polls: int, *, more: bool = False) -> Attempt:
        self._backoff.succeeded()
        more = more or self._posts.waiting > 0
        return Attempt("", polls, len(post.body), more, post.span_s)


def _by_receiver(reason: str) -> str:
    return f"refused by the receiver: {reason}"


def _halves(begin: int, end: int) -> list[tuple[int, int]]:
    middle = (begin + end) // 2
    return [(begin, middle), (middle, end)]
