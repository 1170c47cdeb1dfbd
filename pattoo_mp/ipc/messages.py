"""What control and its workers say to each other over their links: a kind, then its fields.

collector → control    LAYOUT identifier packed interval_ms
                       POLL layout_id timestamp_ms packed reason interval_ms
                                                                    (reason: of ticks missed before it)
                       INTERVALS intervals_ms after_ms              (of the ticks after that time)
                       LEDGER                                       (how does it stand?)
control → collector    LEDGER figures                               ({name: number}; the answer)
control → uploader     BOOK text                                    (to keep with what follows)
                       LAYOUT identifier packed
                       POLL sequence layout_id timestamp_ms packed
                       CLOSE                                        (no more will come)
uploader → control     UPLOAD state account         (`UploadState` as a list, `SpoolState` as a map)
                       KEPT sequence                                (in the spool; 0: none yet)
                       LEAVING                                      (asked to end; may it?)
worker → control       NOTE troubles                                ({what: why}, all there are)
                       FATAL reason                                 (no restart can help)
                       APPLIED number                               (the settings of that number)
control → worker       SETTINGS number settings                     (`Config.fields()`, all of them)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The first field of each message."""

    LAYOUT = "layout"
    POLL = "poll"
    NOTE = "note"
    CLOSE = "close"
    KEPT = "kept"
    UPLOAD = "upload"
    BOOK = "book"
    LEAVING = "leaving"
    FATAL = "fatal"
    SETTINGS = "settings"
    APPLIED = "applied"
    INTERVALS = "intervals"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class UploadState:
    """How the posting stands, for the status; what became of polls is in the `SpoolState`.

    `posts` and `sent_bytes` count what the server has taken since this uploader started. Times are
    in ms since the epoch, 0 where it has not happened yet. `last_fault` is of what kind the last error
    was, the name of a `Fault`. `old_…` are the original agent's unsent
    posts: still there, delivered, and put aside. `server` is where posts go, `instead_of` the first
    choice where that is another one.
    """

    posts: int = 0
    sent_bytes: int = 0
    last_post_ms: int = 0
    last_error: str = ""
    last_error_ms: int = 0
    last_fault: str = ""
    failing_since_ms: int = 0
    old_waiting: int = 0
    old_taken: int = 0
    old_bad: int = 0
    server: str = ""
    instead_of: str = ""

    def fields(self) -> list[int | str]:
        """The state as a message carries it; `UploadState(*fields)` reads it."""
        return [getattr(self, name) for name in self.__slots__]

    def after(self, before: UploadState) -> UploadState:
        """The state over several uploaders: `before` is how it stood when the last one ended.

        A server that took nothing from that one, and nothing from this one yet, has been failing
        since then.
        """
        error = self if self.last_error else before
        failing = self if self.posts or not before.failing_since_ms else before
        return replace(
            self,
            posts=before.posts + self.posts,
            sent_bytes=before.sent_bytes + self.sent_bytes,
            last_post_ms=self.last_post_ms or before.last_post_ms,
            last_error=error.last_error,
            last_error_ms=error.last_error_ms,
            last_fault=error.last_fault,
            failing_since_ms=failing.failing_since_ms,
        )


# What a control process says, on a descriptor of its own, to the `--start` that waits for it.


READY: Final = b"ready"


# Times that the agent keeps, and that others count on.


#: A stop takes no longer (s), whatever hangs. supervisord's stopwaitsecs must be above it.
STOP_S: Final = 10.0
