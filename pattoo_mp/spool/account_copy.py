"""A second copy of the account, in a small file beside the spool's.

A file that lost its journal is a sound file of an earlier time, and nothing in it tells. One whose
facts cannot be read has no account at all. The copy is written after each commit, so it is never
ahead of a spool that is whole: where it is, the spool has lost something, and the copy knows how
much. It is not synced: after a power failure it may be behind, or unreadable, and is not needed.

Two slots are written in turn, so that a kill in the middle of one leaves the other.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from zlib import crc32

from pattoo_mp.spool.account import SpoolState, state_of_facts
from pattoo_mp.util import files

if TYPE_CHECKING:
    from pathlib import Path

#: An account is about 3 kB, most of it the book; the rest of a slot is a hole in the file.
_SLOT_BYTES: Final = 1 << 16
#: Length and CRC-32 of what follows.
_HEAD: Final = struct.Struct(">II")


class AccountCopy:
    """The copy at `path`. What cannot be written is not written: it is a copy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: SpoolState) -> None:
        """Note the account of a commit that is done."""
        content = json.dumps(state.numbers()).encode()
        if len(content) > _SLOT_BYTES - _HEAD.size:
            return
        slot = _HEAD.pack(len(content), crc32(content)) + content
        with suppress(OSError):
            descriptor = files.open_file(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.pwrite(descriptor, slot, state.commits % 2 * _SLOT_BYTES)
            finally:
                os.close(descriptor)

    def read(self) -> SpoolState | None:
        """The newest account that is whole; None if there is none."""
        try:
            descriptor = files.open_file(self._path, os.O_RDONLY)
        except OSError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            content = file.read(2 * _SLOT_BYTES)
        found = [_slot(content[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        whole = [state for state in found if state is not None]
        return max(whole, key=lambda state: state.commits, default=None)


def _slot(content: bytes) -> SpoolState | None:
    if len(content) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack_from(content)
    text = content[_HEAD.size : _HEAD.size + length]
    if len(text) != length or crc32(text) != checksum:
        return None
    with suppress(ValueError):
        facts = json.loads(text)
        return state_of_facts(facts) if isinstance(facts, dict) else None
    return None
