"""The meaning of a remote write receiver's answers. No I/O.

Prometheus is atomic: if it refuses one sample of a request, it stores none, and answers with the
reason for the first one, and nothing else. Others (Mimir, Cortex, Thanos) store the rest and say
more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.answer import ANSWER_BYTES, Outcome, one_line
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from pattoo_mp.upload.answer import Answer

#: What Prometheus answers, word for word, and the reason by which we count it. Since 2.50 it names
#: the sample, too.
_REASONS: Final = (
    ("out of order sample", re.compile("out of order sample")),
    (
        "duplicate sample for timestamp",
        re.compile("duplicate sample for timestamp(?: [0-9]+; overrides not allowed: .{1,100})?"),
    ),
    ("out of bounds", re.compile("out of bounds")),
    ("too old sample", re.compile("too old sample")),
)
#: Samples refused for these reasons are older than all that the receiver keeps, of any series.
TOO_OLD: Final = frozenset({"out of bounds", "too old sample"})
#: What is part of the answers of receivers that have stored the rest of the request.
_IN_PART: Final = re.compile(
    "err-mimir-|out of order|out-of-order|out of bounds|duplicate sample|too old|too far in the past"
)
_REFUSES: Final = frozenset({400, 409, 422, 500})
_TENANT_LACKS: Final = frozenset({401, 403})
_QUOTED: Final = 200

#: The outcome of a probe whose samples the receiver would take; it has stored none of them.
ACCEPTABLE: Final = Outcome("refused, as it should be")


@dataclass(frozen=True, slots=True)
class Refused(Outcome):
    """A receiver refused a sample for `reason`. If it is `atomic`, it stored nothing."""

    reason: str = ""
    atomic: bool = True


def outcome_of(answer: Answer) -> Outcome:
    """Return the outcome of a request."""
    text = answer.body[: ANSWER_BYTES + 1].decode("utf-8", "replace").strip()
    if 200 <= answer.status < 300:
        # A captive portal answers with a page.
        if text.startswith("<") or len(answer.body) > ANSWER_BYTES:
            return replace(answer.failure("no page"), fault=Fault.NOT_PATTOO)
        return Outcome()
    failure = answer.failure("an answer of a remote write receiver")
    if answer.status in _TENANT_LACKS:  # Mimir's answer to a request without a tenant is 401
        return replace(failure, error=f"{failure.error}; a tenant goes into headers")
    if answer.status not in _REFUSES:
        return failure
    return _refusal(answer, failure, text)


def _refusal(answer: Answer, failure: Outcome, text: str) -> Outcome:
    for reason, exact in _REASONS:
        if exact.fullmatch(text):
            error = f"status {answer.status}: {reason}"
            return Refused(error, Fault.REFUSED, reached=True, reason=reason)
    if failure.fault is Fault.DENIED or answer.status == 500:
        # 500 says nothing about the data: again later.
        is_denied = failure.fault is Fault.DENIED
        return failure if is_denied else replace(failure, fault=Fault.UNREACHABLE)
    if _IN_PART.search(text):
        words = one_line(text)[:_QUOTED] if answer.is_quotable else failure.error
        return Refused(failure.error, Fault.REFUSED, reached=True, reason=words, atomic=False)
    return replace(failure, fault=Fault.REFUSED)


def is_poisoned(answer: Answer) -> bool:
    """Whether a receiver refused a probe only for the series that is there to be refused."""
    return answer.status in _REFUSES and b"is not unique" in answer.body
