"""The messages between control and its workers: a kind, then its fields.

collector → control    PART identifier packed                       (of the layout that follows)
                       LAYOUT identifier packed interval_ms
                       POLL layout_id timestamp_ms packed reason interval_ms
                                                                (reason: why ticks before it were missed)
                       INTERVALS intervals_ms after_ms              (in force after that time)
                       LEDGER                                       (request the figures)
                       SPOKE_POLL layout_id timestamp_ms packed group missed reason
                                                                (a hub's; LAYOUT has the group as its interval_ms)
                       SPOKES rows                                  (a hub's; `SpokeReport`s that changed, by target)
                       FORGET targets groups                        (those that were removed from the settings)
control → collector    GROUPS newest_ms                             ({group: ms}; some of those of a hub)
                       STORED polls           (how many of this collector's are in the spool; negative: of an earlier one's)
                       LEDGER figures                               ({output: {name: number}}; the answer)
                       AVOID reasons           ({source: why}, the complete set of those not to read)
control → uploader     LEDGER_SNAPSHOT text                         (as of the poll that follows)
                       PART identifier packed
                       LAYOUT identifier packed
                       POLL sequence layout_id timestamp_ms packed (group)  (the group of a spoke's)
                       CLOSE                                        (no more polls follow)
uploader → control     GROUPS groups                                ({group: [newest_ms, kept]}; before the first UPLOAD)
                       UPLOAD output state account  (its name, `UploadState` as a list, `SpoolState` as a map)
                       KEPT sequence                                (committed to the spool; 0: none yet)
                       LEAVING                                      (got a SIGTERM; asks for CLOSE)
worker → control       NOTE troubles                                ({what: why}, the complete set)
                       FATAL reason                                 (a restart cannot help)
                       APPLIED number                               (the settings of that number are in force)
control → worker       SETTINGS number settings                     (all of `Config.fields()`)

This module also holds the message to a waiting `--start`, and a time limit that others rely on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The first field of each message."""

    PART = "part"
    LAYOUT = "layout"
    POLL = "poll"
    NOTE = "note"
    CLOSE = "close"
    KEPT = "kept"
    UPLOAD = "upload"
    LEDGER_SNAPSHOT = "ledger_snapshot"
    LEAVING = "leaving"
    FATAL = "fatal"
    SETTINGS = "settings"
    APPLIED = "applied"
    INTERVALS = "intervals"
    LEDGER = "ledger"
    AVOID = "avoid"
    SPOKE_POLL = "spoke_poll"
    SPOKES = "spokes"
    FORGET = "forget"
    GROUPS = "groups"
    STORED = "stored"


@dataclass(frozen=True, slots=True)
class UploadState:
    """The state of posting, for the status; the counts of polls are in the `SpoolState`.

    `posts` and `sent_bytes` count what the server has accepted since this uploader started. Times
    are in ms since the epoch, 0 for never. `last_fault` is the kind of the last error, the name of a
    `Fault`. `next_post_ms` is the time of the next attempt while posts fail, else 0. `old_…` count the original agent's unsent posts: still waiting, delivered, and set aside.
    `server` is the URL that posts go to; `instead_of` is the first choice if that is another server.
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
    next_post_ms: int = 0

    def fields(self) -> list[int | str]:
        """Return the state as the fields of a message; `UploadState(*fields)` reads them."""
        return [getattr(self, name) for name in self.__slots__]

    def after(self, before: UploadState) -> UploadState:
        """Return the state over several uploaders; `before` is the last state of the previous one.

        If the server was failing for the previous uploader, and has accepted nothing from this one
        yet, it has been failing since then.
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


@dataclass(frozen=True, slots=True)
class SpokeReport:
    """What a hub's collector has to say of a target, for the status.

    - `state` is one of `SpokeState`, since `since_ms` (ms since the epoch), because of `why`.
    - `kind` is "gapless" for an agent of ours, "page" for an original, empty before the first answer;
      `agent_id` and `hostname` are those in its last answer.
    - `asked` to `missed` are what happened since the last report: requests, those without a usable answer,
      polls taken, values left out of them, polls that had come before, ticks without a poll.
    - `account` is the spoke's own of what it has for this hub: polled, delivered, waiting, quarantined,
      dropped, and the ticks that it has missed; empty for a page.
    """

    state: str
    since_ms: int
    why: str
    kind: str
    agent_id: str
    hostname: str
    asked: int
    failed: int
    taken: int
    left_out: int
    repeated: int
    missed: int
    left_out_why: str = ""
    account: tuple[int, ...] = ()

    def fields(self) -> list[object]:
        """Return the report as the fields of a message; `SpokeReport(*fields)` reads them."""
        return [getattr(self, name) for name in self.__slots__]


class SpokeState(StrEnum):
    """How a spoke answers a hub, the best first."""

    #: Not asked yet.
    NEW = "new"
    #: The last answer was good, and in time.
    WELL = "well"
    #: It took very long, or did not arrive within the time limit.
    SLOW = "slow"
    #: Nothing listens there, the host does not answer, or its name is unknown.
    AWAY = "away"
    #: It answered with something that is no answer of a spoke, or refused the hub.
    REFUSING = "refusing"


def posts_trouble(output: str, first: str) -> str:
    """Return the name of an output's trouble with posting on this host. `first` is the first output."""
    return "posts" if output == first else f"posts {output}"


#: What control writes to the descriptor on which `--start` waits.
READY: Final = b"ready"

#: Time limit of a stop (s), whatever hangs. supervisord's stopwaitsecs must be larger.
STOP_S: Final = 10.0
#: How long the collector may take of it, also if it has to be killed or left behind (s). The uploader,
#: which a signal to the group reaches, too, waits for longer: the ticks counted meanwhile are to be stored.
COLLECTOR_STOP_S: Final = 5.0
