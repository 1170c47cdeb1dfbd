"""Hash functions without OpenSSL, each test in a new interpreter."""

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
    not (find_spec("_sha256") or find_spec("_sha2")),
    reason="this Python has no SHA-2 implementation",
)
def test_digests_equal_openssls_without_loading_it() -> None:
    """The digests are the same: they identify series and layouts."""
    blake2b = hashlib.blake2b(b"x", digest_size=8).hexdigest()
    assert _run() == [blake2b, hashlib.sha256(b"x").hexdigest(), False]


@pytest.mark.parametrize("own", [("_sha256", "_sha2"), ("_md5",), ("_sha3",)])
def test_a_python_without_hash_modules_uses_openssl(own: tuple[str, ...]) -> None:
    """Some distributions build Python that way. No complaint about unused functions is logged."""
    found = _run(f"import sys; sys.modules.update(dict.fromkeys({own}))\n")
    assert found[1:] == [hashlib.sha256(b"x").hexdigest(), True]
