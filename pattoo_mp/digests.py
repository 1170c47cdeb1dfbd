"""The digests that the agent takes, of a few bytes each: Python's own, without OpenSSL's library.

`hashlib` loads that for them if it can, which costs the agent 1.4 MB (docs/decisions/016).
Some distributions leave Python's own SHA-2 out; there it is OpenSSL's.
"""

from __future__ import annotations

from importlib.util import find_spec

from pattoo_mp.hidden import hidden

#: Python's own SHA-256, until 3.11 and since.
_OWN = ("_sha256", "_sha2")

with hidden(["_hashlib"] if any(map(find_spec, _OWN)) else []):
    from hashlib import blake2b, sha256

__all__ = ["blake2b", "sha256"]
