"""The refusal of a post: what is wrong with it, where, and the HTTP status that says so."""

from __future__ import annotations

import reprlib
from typing import Final

from pattoo_mp.errors import PattooError

#: What the pattoo server answers to a body that it cannot use.
UNUSABLE: Final = 500
#: What the pattoo server answers where it sees no pattoo post at all.
NOT_A_POST: Final = 404


class Refused(PattooError):  # noqa: N818 - it is an answer to a client, not a fault of ours
    """A post is not taken. `status` is the HTTP status of the answer, the message its body."""

    def __init__(self, reason: str, status: int = UNUSABLE) -> None:
        super().__init__(reason)
        self.status = status

    def at(self, where: str) -> Refused:
        """Return the same refusal with its place in the body put before the reason."""
        return Refused(f"{where}: {self}", self.status)


def shown(value: object) -> str:
    """What came, in a few printable characters of one line: it may be long, or hostile."""
    return _SHORT.repr(value)


def _short() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = 80
    return short


_SHORT: Final = _short()
