"""The original agent's unsent posts as a source of posts: one file, one post."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pattoo_mp.errors import WireError
from pattoo_mp.upload.legacy_post import with_envelope
from pattoo_mp.upload.post import Post
from pattoo_mp.upload.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.upload.legacy import LegacyPost, LegacyPosts


class LegacySource:
    """A source of posts. `envelope_ms` gives each its time."""

    def __init__(self, files: LegacyPosts, envelope_ms: Callable[[], int]) -> None:
        self._files = files
        self._envelope_ms = envelope_ms
        self.window = Window(largest=1)

    @property
    def waiting(self) -> int:
        """How many files are still to be sent."""
        return self._files.waiting

    def oldest(self) -> Post | None:
        """The post of the oldest file that holds one; the others are put out of the way."""
        while (file := self._files.oldest()) is not None:
            try:
                return self._post(file)
            except WireError as error:
                self._files.reject(file.path, str(error))
        return None

    def _post(self, file: LegacyPost) -> Post:
        agent_id = self._files.agent_id
        return Post(
            agent_id=agent_id,
            body=with_envelope(file.content, agent_id, self._envelope_ms()),
            polls=1,
            head=str(file.path),
            taken=partial(self._taken, file),
            set_aside=partial(self._files.refuse, file),
        )

    def _taken(self, file: LegacyPost) -> int:
        self._files.done(file)
        return 0  # they never were in the spool
