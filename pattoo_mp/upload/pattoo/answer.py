"""What a pattoo server's answers mean: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.answer import ANSWER_BYTES, Outcome, http_date
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from datetime import datetime

    from pattoo_mp.upload.answer import Answer

_TAKEN: Final = b"OK"
_OPERATIONAL: Final = b"agent api is operational"


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What came of asking for a server's status page: `error` is empty if the server is well.

    `fault` is the kind of the error, `status` the HTTP status, 0 if there was no answer. `date` is the
    server's time, if it gave one.
    """

    error: str
    fault: Fault = Fault.UNREACHABLE
    status: int = 0
    date: datetime | None = None


def post_outcome(answer: Answer) -> Outcome:
    """What became of the post that was answered so. Only `OK` counts: captive portals answer 200, too."""
    is_whole = len(answer.body) <= ANSWER_BYTES
    if answer.status == 200 and is_whole and answer.body.strip() == _TAKEN:
        return Outcome()
    return answer.failure("OK from pattoo")


def status_page(answer: Answer) -> StatusPage:
    """Whether this is the status page of a pattoo server that is well."""
    is_well = answer.status == 200 and _OPERATIONAL in answer.body.lower()
    error = "" if is_well else answer.describe("the status page of pattoo")
    return StatusPage(error, answer.fault, answer.status, http_date(answer.date))
