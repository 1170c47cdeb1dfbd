"""The messages between control and its workers."""

from __future__ import annotations

from typing import Any

from pattoo_mp.ipc.messages import UploadState


def test_a_state_is_read_as_it_was_sent() -> None:
    """Field by field, in order."""
    state = UploadState(posts=3, sent_bytes=9, last_error="status 500", server="http://server/")
    fields: list[Any] = list(state.fields())
    assert UploadState(*fields) == state


def test_posts_and_bytes_add_up_over_uploaders() -> None:
    """Each uploader counts from zero."""
    before = UploadState(posts=2, sent_bytes=20, last_post_ms=7)
    state = UploadState().after(before)
    assert (state.posts, state.sent_bytes, state.last_post_ms) == (2, 20, 7)
    state = UploadState(posts=1, sent_bytes=5, last_post_ms=9).after(before)
    assert (state.posts, state.sent_bytes, state.last_post_ms) == (3, 25, 9)


def test_a_server_that_fails_over_two_uploaders_has_failed_throughout() -> None:
    """Until it takes a post; the newer error is kept."""
    before = UploadState(last_error="old", last_error_ms=5, failing_since_ms=3)
    assert UploadState().after(before) == before
    failing = UploadState(last_error="new", last_error_ms=8, failing_since_ms=7)
    assert failing.after(before) == UploadState(
        last_error="new", last_error_ms=8, failing_since_ms=3
    )
    assert UploadState(posts=1).after(before).failing_since_ms == 0
    assert failing.after(UploadState()) == failing
