"""The original agent's unsent posts: they are sent before anything of our own.

It kept each as `<cache_directory>/<agent_id>/<ms>_<agent_id>.json`. One that is delivered is
removed, one that is not a post is renamed to `….json.bad`, one that the server refuses to
`….json.refused`. Nobody writes such files any more, so they are looked for once.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)

#: A post of the original is some 20 kB; whatever is larger than this was not made by it.
LARGEST_BYTES: Final = 64 << 20

_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class LegacyPost:
    """One file, and all that is in it."""

    path: Path
    content: bytes


class LegacyPosts:
    """The unsent posts in `cache_directory` of the agent `agent_id`, oldest first.

    `taken`, `bad` and `refused` count since the start; `waiting` is how many are still there.
    """

    def __init__(self, cache_directory: Path, agent_id: str) -> None:
        self.agent_id = agent_id
        self.taken = 0
        self.bad = 0
        self.refused = 0
        self._left = deque(_oldest_first(cache_directory / agent_id))
        if self._left:
            many = counted(len(self._left), "unsent post")
            _LOG.info("Sending %s of the original agent first.", many)

    @property
    def waiting(self) -> int:
        """How many files are still to be sent."""
        return len(self._left)

    def oldest(self) -> LegacyPost | None:
        """The oldest file that can be read. It stays until one of the calls below."""
        while self._left:
            path = self._left[0]
            try:
                return LegacyPost(path, _read(path, self.agent_id))
            except WireError as error:
                self.reject(path, str(error))
            except OSError as error:
                _LOG.error("%s is passed over until the next start: %s", path, error.strerror)
                self._left.popleft()
        return None

    def done(self, post: LegacyPost) -> None:
        """Remove a file whose post the server has."""
        self.taken += 1
        self._forget(post.path)
        try:
            post.path.unlink(missing_ok=True)
        except OSError as error:
            # It will be sent once more after the next start, which does no harm.
            _LOG.error("%s was sent, but cannot be removed: %s", post.path, error.strerror)

    def reject(self, path: Path, reason: str) -> None:
        """Put a file out of the way that is not a post of this agent."""
        self.bad += 1
        self._put_away(path, ".bad", reason)

    def refuse(self, post: LegacyPost, reason: str) -> None:
        """Put a file out of the way whose post the server never takes."""
        self.refused += 1
        self._put_away(post.path, ".refused", reason)

    def _put_away(self, path: Path, suffix: str, reason: str) -> None:
        self._forget(path)
        try:
            path.rename(f"{path}{suffix}")
        except OSError as error:
            _LOG.error("%s is not sent (%s), nor renamed: %s", path, reason, error.strerror)
        else:
            _LOG.error("%s is not sent, and renamed to *%s: %s", path, suffix, reason)

    def _forget(self, path: Path) -> None:
        if self._left and self._left[0] == path:
            self._left.popleft()


def _oldest_first(directory: Path) -> list[Path]:
    try:
        paths = list(_files(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        _LOG.error("Unsent posts of the original agent are not found: %s", error)
        return []
    return sorted(paths, key=lambda path: (_number(path.name), path.name))


def _files(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                yield Path(entry.path)


def _number(name: str) -> int:
    found = _NUMBER.match(name)
    return int(found[0]) if found else 0


def _read(path: Path, agent_id: str) -> bytes:
    if not re.fullmatch(rf"[0-9]+_{re.escape(agent_id)}\.json", path.name):
        raise WireError("the name is not a time and this agent's id")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise WireError("not a regular file")
    # Whatever took the file's place since then is neither followed nor waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise WireError("not a regular file")
        content = file.read(LARGEST_BYTES + 1) if _fits(descriptor) else b""
    if not content or len(content) > LARGEST_BYTES:
        raise WireError(f"empty, or larger than {LARGEST_BYTES >> 20} MB")
    return content


def _fits(descriptor: int) -> bool:
    return os.fstat(descriptor).st_size <= LARGEST_BYTES
