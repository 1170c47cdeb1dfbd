"""Digests without OpenSSL, each time in an interpreter of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

_DIGESTS = """
import json, sys
from pattoo_mp.util.lean_imports import blake2b, sha256
print(json.dumps([blake2b(b"x", digest_size=8).hexdigest(), sha256(b"x").hexdigest(),
                  "_hashlib" in sys.modules]))
"""


def _run(before: str = "") -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", before + _DIGESTS],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    answer: list[object] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(
    not (find_spec("_sha256") or find_spec("_sha2")), reason="this Python has no SHA-2 of its own"
)
def test_they_are_those_of_openssl_without_its_library() -> None:
    """Digit for digit: they name series and layouts."""
    blake2b = hashlib.blake2b(b"x", digest_size=8).hexdigest()
    assert _run() == [blake2b, hashlib.sha256(b"x").hexdigest(), False]


@pytest.mark.parametrize("own", [("_sha256", "_sha2"), ("_md5",), ("_sha3",)])
def test_a_python_without_its_own_takes_those_of_openssl(own: tuple[str, ...]) -> None:
    """As some distributions build it, and without a complaint of what nobody asks for."""
    found = _run(f"import sys; sys.modules.update(dict.fromkeys({own}))\n")
    assert found[1:] == [hashlib.sha256(b"x").hexdigest(), True]
