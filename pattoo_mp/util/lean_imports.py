"""Imports without optional dependencies, and the hash functions imported that way.

Some libraries load another one if it is installed and work without it if it is not. That costs
every process of the agent memory, whether the other library is used or not.

`hashlib` is one of them: it loads OpenSSL's library if it can, which costs the agent 1.4 MB
(docs/decisions/016). The agent hashes only short strings, so Python's own implementation is enough.
Some distributions leave out all or part of that implementation. There OpenSSL is used,
since `hashlib` logs a complaint about each missing function on import.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def hiding(modules: Iterable[str]) -> Iterator[None]:
    """Make imports of `modules` fail inside the block, except those already imported.

    None in `sys.modules` does that ("The import system" in the Python reference). After the block
    they can be imported as usual.
    """
    names = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # documented, but not typed
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


#: Python's own hash modules; SHA-2 has other names since 3.12. One module of each tuple is enough.
_BUILT_IN = (
    ("_md5",),
    ("_sha1",),
    ("_sha256", "_sha2"),
    ("_sha512", "_sha2"),
    ("_sha3",),
    ("_blake2",),
)
_HAS_ALL = all(any(map(find_spec, names)) for names in _BUILT_IN)

with hiding(["_hashlib"] if _HAS_ALL else []):
    from hashlib import blake2b, sha256


__all__ = ["blake2b", "hiding", "sha256"]
