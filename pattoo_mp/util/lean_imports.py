"""Imports that find less than there is.

What a library takes if it is there, and does without if it is not, costs an agent memory in each
process, whether it is ever used or not.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def hidden(modules: Iterable[str]) -> Iterator[None]:
    """Let imports inside find none of `modules`, but those that are there already.

    None in `sys.modules` is Python's own word for it ("The import system" in its reference).
    Afterwards they can be imported as ever.
    """
    names = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # as the reference has it
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


# The digests that the agent takes, of a few bytes each: Python's own, without OpenSSL's library.
#
# `hashlib` loads that for them if it can, which costs the agent 1.4 MB (docs/decisions/016).
# Some distributions leave Python's own out, or some of them; there it is OpenSSL's, since `hashlib` complains
# of each that it does not find, whether anybody asks for it or not.


#: Python's own, of SHA-2 until 3.11 and since: one of each line is all that it takes.
_OWN = (("_md5",), ("_sha1",), ("_sha256", "_sha2"), ("_sha512", "_sha2"), ("_sha3",), ("_blake2",))


_HAS_ALL = all(any(map(find_spec, either)) for either in _OWN)


with hidden(["_hashlib"] if _HAS_ALL else []):
    from hashlib import blake2b, sha256


__all__ = ["blake2b", "sha256"]
