"""The original agent's unsent posts, which are sent before the polls in the spool.

The original kept each as `<cache_directory>/<agent_id>/<ms>_<agent_id>.json`. A delivered file is
removed. One that is not a post is renamed to `….json.bad`, and one that the server refuses to
`….json.refused`. Nothing writes such files any more, so they are listed only once.

A post is sent with its content and a new envelope time. It was made without the care of
`pattoo_mp.wire.safe`, so it is checked first: data that would break a pattoo server is never sent. Its
strings are made safe as those of any post; its checksums stay.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pattoo_mp.errors import WireError
from pattoo_mp.upload.post import BatchLimit, Post
from pattoo_mp.util import json_text
from pattoo_mp.util.text import counted
from pattoo_mp.wire.safe import TEXT_BYTES, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LOG = logging.getLogger(__name__)

#: A post of the original is some 20 kB; of a host with 3,000 mounts, 5 MB. It made no file larger than this.
LARGEST_BYTES: Final = 16 << 20

_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class LegacyPost:
    """One file and its content."""

    path: Path
    content: bytes


class LegacyPosts:
    """The unsent posts of the agent `agent_id` in `cache_directory`, oldest first.

    `taken` (delivered), `bad` and `refused` count files since the start; `waiting` is how many are
    left.
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

    def source(self, envelope_ms: Callable[[], int]) -> LegacySource:
        """Return the files as a source of posts; `envelope_ms` returns the time of each."""
        return LegacySource(self, envelope_ms)

    def oldest(self) -> LegacyPost | None:
        """Return the oldest readable file. It stays until `done`, `reject` or `refuse` is called."""
        while self._left:
            path = self._left[0]
            try:
                return LegacyPost(path, _read(path, self.agent_id))
            except WireError as error:
                self.reject(path, str(error))
            except OSError as error:
                _LOG.error(
                    "%s cannot be read; skipped until the next start: %s", path, error.strerror
                )
                self._left.popleft()
        return None

    def nth(self, number: int) -> LegacyPost | None:
        """Return the file after `number` older ones, if there is one. Raises `WireError` or `OSError`."""
        if number >= len(self._left):
            return None
        path = self._left[number]
        return LegacyPost(path, _read(path, self.agent_id))

    def done(self, post: LegacyPost) -> None:
        """Remove a file whose post was delivered."""
        self.taken += 1
        self._forget(post.path)
        try:
            post.path.unlink(missing_ok=True)
        except OSError as error:
            # It will be sent again after the next start, which does no harm.
            _LOG.error("%s was sent, but cannot be removed: %s", post.path, error.strerror)

    def reject(self, path: Path, reason: str) -> None:
        """Rename a file that is not a post of this agent."""
        self.bad += 1
        self._rename(path, ".bad", reason)

    def refuse(self, post: LegacyPost, reason: str) -> None:
        """Rename a file whose post the server keeps refusing."""
        self.refused += 1
        self._rename(post.path, ".refused", reason)

    def _rename(self, path: Path, suffix: str, reason: str) -> None:
        self._forget(path)
        try:
            path.rename(f"{path}{suffix}")
        except OSError as error:
            _LOG.error(
                "%s is not sent (%s) and cannot be renamed: %s", path, reason, error.strerror
            )
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
        _LOG.error("Cannot list the original agent's unsent posts: %s", error)
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
    # If the file was replaced since then, neither follow a link nor wait for a FIFO.
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


# The content of one unsent post.

_TIME: Final = "pattoo_agent_timestamp"
_AGENT: Final = "pattoo_agent_id"
_INTERVAL: Final = "pattoo_agent_polling_interval"
_POINTS: Final = "pattoo_datapoints"
_PAIRS: Final = "key_value_pairs"
_ROWS: Final = "datapoint_pairs"

_POSITIVE: Final = re.compile(r"0*[1-9][0-9]{0,17}")


def with_envelope(content: bytes, agent_id: str, envelope_ms: int) -> bytes:
    """Return the post with another time on its envelope.

    Raises `WireError` if `content` is not a post of this agent, or would break a server.
    """
    post = _parsed(content)
    _check(post, agent_id)
    points = post[_POINTS]
    pairs = {number: _safe_pair(*pair) for number, pair in points[_PAIRS].items()}
    safe = {**post, _TIME: envelope_ms, _POINTS: {**points, _PAIRS: pairs}}
    return json.dumps(safe, allow_nan=False).encode()


def _safe_pair(key: str, value: object) -> list[object]:
    return [safe_text(key), safe_text(value) if isinstance(value, str) else value]


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        post = json_text.parse(content, constant=_not_json)
    except ValueError as error:
        raise WireError(f"not JSON: {error}") from error
    return _object(post, "the file", {_TIME, _AGENT, _INTERVAL, _POINTS})


def _not_json(literal: str) -> NoReturn:
    raise WireError(f"the value {literal}")


def _check(post: dict[str, Any], agent_id: str) -> None:
    if post[_AGENT] != agent_id:
        raise WireError("a post of another agent")
    if not _is_time(post[_TIME]) or not _is_time(post[_INTERVAL]) or not post[_INTERVAL]:
        raise WireError("a time or an interval that is not a number of milliseconds")
    points = _object(post[_POINTS], _POINTS, {_PAIRS, _ROWS})
    pairs, rows = points[_PAIRS], points[_ROWS]
    if not isinstance(pairs, dict) or not isinstance(rows, list):
        raise WireError("datapoints that are not pairs and lists of their numbers")
    _check_pairs(pairs.values(), agent_id)
    for row in rows:
        if not isinstance(row, list) or not all(type(n) is int and str(n) in pairs for n in row):
            raise WireError("a datapoint that is not a list of numbers of pairs")


def _object(value: object, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise WireError(f"{where} is not an object of {', '.join(sorted(keys))}")
    return value


def _check_pairs(pairs: Iterable[object], agent_id: str) -> None:
    longest = {"pattoo_key": 0, "pattoo_agent_program": 0}
    for pair in pairs:
        match pair:
            case [str(key), value]:
                _check_pair(key, value, agent_id)
                if key in longest:
                    longest[key] = max(longest[key], len(safe_text(str(value)).encode()))
            case _:
                raise WireError("a pair that is not a list of a key and a value")
    # The server keeps both in one column, with a character in between.
    if sum(longest.values()) + 1 > TEXT_BYTES:
        raise WireError("a program with a key that are too long together")


def _check_pair(key: str, value: object, agent_id: str) -> None:
    match key:
        case "pattoo_agent_id":
            good = value == agent_id
        case "pattoo_timestamp":
            good = _is_time(value)
        case "pattoo_data_type":
            good = type(value) is int
        case "pattoo_agent_polling_interval":
            good = isinstance(value, str) and _POSITIVE.fullmatch(value) is not None
        case "pattoo_value":
            good = _is_value(value)
        case _:
            good = _is_text(value)
    if not good or not _is_text(key):
        raise WireError(
            f"a pair that would break the server: {ascii(key)[:80]}: {ascii(value)[:80]}"
        )


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_value(value: object) -> bool:
    """Whether it is a number that can be stored, or one of the values that the server skips.

    The server skips null, booleans and words.
    """
    if isinstance(value, str):
        try:
            return sendable(float(value))
        except ValueError:
            return _is_text(value)
    return value is None or isinstance(value, bool) or sendable(value)


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value.encode()) <= TEXT_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


# The source of posts: one file, one post.


class LegacySource:
    """The files as a source of posts. `envelope_ms` returns the time of each post."""

    def __init__(self, files: LegacyPosts, envelope_ms: Callable[[], int]) -> None:
        self._files = files
        self._envelope_ms = envelope_ms
        self.batch_limit = BatchLimit(largest=1)

    @property
    def waiting(self) -> int:
        """How many files are still to be sent."""
        return self._files.waiting

    @property
    def in_turn(self) -> bool:
        """Whether the next post follows the last one at once: none does."""
        return False

    def oldest(self) -> Post | None:
        """Return the post of the oldest valid file. Invalid ones are renamed."""
        while (file := self._files.oldest()) is not None:
            try:
                return self._post(file)
            except WireError as error:
                self._files.reject(file.path, str(error))
        return None

    def single(self, number: int) -> Post | None:
        """Return the post of the file after `number` older ones. None if it cannot be made."""
        try:
            file = self._files.nth(number)
            return self._post(file) if file else None
        except (WireError, OSError):
            return None

    def _post(self, file: LegacyPost) -> Post:
        agent_id = self._files.agent_id
        return Post(
            agent_id=agent_id,
            body=with_envelope(file.content, agent_id, self._envelope_ms()),
            polls=1,
            head=str(file.path),
            accepted=partial(self._accepted, file),
            set_aside=partial(self._files.refuse, file),
        )

    def _accepted(self, file: LegacyPost) -> int:
        self._files.done(file)
        return 0  # it was never in the spool
