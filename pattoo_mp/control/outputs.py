"""What control knows of each output: the state of its posting, and what happened recently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.control.rates import DrainRate, RecentCounts, backlog, is_behind
from pattoo_mp.ipc.messages import UploadState, posts_trouble
from pattoo_mp.spool.account import OutputState
from pattoo_mp.spool.limits import QUARANTINE_FULL

if TYPE_CHECKING:
    from collections import Counter

    from pattoo_mp.control.rates import Counts


class OutputWatch:
    """One output. `upload` is the state of its posting since control started, over all uploaders."""

    def __init__(self) -> None:
        self.upload = UploadState()
        self.account = OutputState()
        self.recent = RecentCounts()
        self.drain_rate = DrainRate()
        self._upload_before = UploadState()

    def uploader_gone(self) -> None:
        """Continue after an uploader has exited."""
        self._upload_before = self.upload
        self.drain_rate.reset()

    def update_upload(self, state: UploadState) -> None:
        """Note a report of the uploader."""
        self.upload = state.after(self._upload_before)

    def update_account(self, account: OutputState, *, is_first: bool) -> None:
        """Note the output's account; the first one says nothing about the rate."""
        if not is_first and account.delivered > self.account.delivered:
            self.drain_rate.record(account.delivered - self.account.delivered)
        if self.upload.failing_since_ms or not account.waiting:
            self.drain_rate.reset()
        self.account = account

    def counts(self, dropped_in_channel: int) -> Counts:
        """Return the current totals; the difference of two results is what happened in between."""
        account = self.account
        return {
            "delivered": account.delivered,
            "dropped": account.dropped.total() + dropped_in_channel,
            # All polls ever quarantined: a full quarantine drops its oldest poll for a new one.
            "quarantined": account.quarantined + account.dropped.get(QUARANTINE_FULL, 0),
            "posts": self.upload.posts,
            "sent_bytes": self.upload.sent_bytes,
        }

    def polls(self, dropped: Counter[str], oldest_in_channel_ms: int) -> dict[str, Any]:
        """Return the output's part of `polls` in the status. `dropped` are its polls by reason."""
        account = self.account
        return {
            "delivered": account.delivered,
            "in_spool": account.waiting,
            "quarantined": account.quarantined,
            "dropped": dict(dropped),
            "last_delivered_ms": account.delivered_ms,
            "last_dropped_ms": account.dropped_ms,
            "oldest_waiting_ms": account.oldest_ms or oldest_in_channel_ms,
        }

    def posts(self, spacing_ms: int) -> dict[str, Any]:
        """Return `posts` in the status. `spacing_ms` is the time between posts if all is well."""
        upload = self.upload
        return {
            "server": upload.server,
            "instead_of": upload.instead_of,
            "spacing_ms": spacing_ms,
            "count": upload.posts,
            "sent_bytes": upload.sent_bytes,
            "last_ms": upload.last_post_ms,
            "last_error": upload.last_error,
            "last_error_ms": upload.last_error_ms,
            "last_fault": upload.last_fault,
            "failing_since_ms": upload.failing_since_ms,
            "next_post_ms": upload.next_post_ms,
        }

    def backlog(
        self, oldest_ms: int, waiting: int, new_per_s: float, spacing_ms: int, now_ms: int
    ) -> dict[str, float | None]:
        """Return the overdue polls: none as long as posting goes as usual."""
        if not is_behind(oldest_ms, spacing_ms, now_ms):
            return backlog(0, None, new_per_s)
        return backlog(waiting, self.drain_rate.polls_per_s(), new_per_s)


#: The kind of the account of a hub that fetches.
HUB: Final = "hub"
#: How often a hub is expected to fetch (ms): an original one asks every five minutes.
HUB_SPACING_MS: Final = 300_000
#: The parts of the status that each output has.
PARTS: Final = ("polls", "posts", "recent", "backlog")


def of_output(status: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a status as that of an agent with only the output of this name."""
    outputs = status.get("outputs", [])
    output = next((each for each in outputs if each["name"] == name), None)
    if output is None:
        return status
    uploader = status["workers"]["uploader"]
    posts = uploader["troubles"].get(posts_trouble(name, outputs[0]["name"]))
    own = {what: why for what, why in uploader["troubles"].items() if not what.startswith("posts")}
    troubles_of_output = own | ({"posts": posts} if posts else {})
    workers = status["workers"] | {"uploader": {**uploader, "troubles": troubles_of_output}}
    kind = {"kind": output["kind"]}
    return {
        **status,
        **kind,
        "workers": workers,
        **{part: status[part] | output[part] for part in PARTS},
    }
