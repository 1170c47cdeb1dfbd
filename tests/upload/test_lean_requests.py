"""`requests` without the modules that plain HTTP never uses, each time in a new interpreter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
from packaging.version import Version

from tests.support.server import PattooServer

if TYPE_CHECKING:
    from collections.abc import Iterator

POST = """
import sys
from pattoo_mp.upload.lean_requests import import_requests
import_requests({})
from pattoo_mp.upload.pattoo.transport import PattooTransport
assert PattooTransport("http://127.0.0.1:PORT").post("a5" * 32, b"{}").delivered
"""


@pytest.fixture
def server() -> Iterator[PattooServer]:
    """A server that accepts posts."""
    server = PattooServer()
    yield server
    server.close()


def run(program: str, **environment: str) -> str:
    """Run a program that must end without any complaint. Return its output."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_post_needs_no_encryption_and_no_guess_at_encodings(server: PattooServer) -> None:
    """It is delivered without importing either; but `requests` before 2.32 does not work without one that guesses."""
    loaded = (
        "print([n for n in ('ssl', '_ssl', 'chardet', 'charset_normalizer') if n in sys.modules])"
    )
    guess = ["charset_normalizer"] if Version(requests.__version__) < Version("2.32") else []
    assert run(POST.replace("PORT", str(server.port)) + loaded) == str(guess)
    assert len(server.posts) == 1


def test_hidden_modules_can_be_imported_afterwards(server: PattooServer) -> None:
    """They are hidden only while `requests` is imported."""
    later = "import ssl, charset_normalizer; print(ssl.HAS_SNI)"
    assert run(POST.replace("PORT", str(server.port)) + later) == "True"


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_tls_is_imported_for_an_https_proxy(name: str) -> None:
    """The environment may name one."""
    program = (
        "import sys; from pattoo_mp.upload.lean_requests import import_requests; import_requests(); "
        "import requests; print('ssl' in sys.modules)"
    )
    assert run(program, **{name: "https://proxy.example:3128"}) == "True"
    assert run(program, **{name: "http://proxy.example:3128"}) == "False"
