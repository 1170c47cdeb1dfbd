"""The meaning of a pattoo server's answers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.answer import ANSWER_BYTES, Outcome, http_date
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from datetime import datetime

    from pattoo_mp.upload.answer import Answer

_ACCEPTED: Final = b"OK"
_OPERATIONAL: Final = b"agent api is operational"


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The result of asking for the status page. `error` is empty if the server is healthy.

    `fault` is the kind of the error, `status` the HTTP status or 0 without an answer, and `date`
    the server's time, if it sent one.
    """

    error: str
    fault: Fault = Fault.UNREACHABLE
    status: int = 0
    date: datetime | None = None


def post_outcome(answer: Answer) -> Outcome:
    """Return the outcome of a post. Only `OK` counts as accepted: captive portals answer 200, too."""
    is_whole = len(answer.body) <= ANSWER_BYTES
    if answer.status == 200 and is_whole and answer.body.strip() == _ACCEPTED:
        return answer.accepted
    return answer.failure("OK from pattoo")


def status_page(answer: Answer) -> StatusPage:
    """Return what the answer to a request for the status page means."""
    is_healthy = answer.status == 200 and _OPERATIONAL in answer.body.lower()
    error = "" if is_healthy else answer.describe("the status page of pattoo")
    return StatusPage(error, answer.fault, answer.status, http_date(answer.date))
