"""Imports `requests` without what a post in plain HTTP never uses.

Its import takes 10 MB, and a third of that is OpenSSL's bindings and two guessers of encodings. It
takes each of these for optional: on a Python that lacks them it does without.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.lean_imports import hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Encrypted connections, and the library for them; guesses at a text's encoding; other JSON; compression that is not asked for.
_UNUSED: Final = (
    "ssl",
    "_hashlib",
    "OpenSSL",
    "charset_normalizer",
    "chardet",
    "simplejson",
    "brotli",
    "brotlicffi",
    "zstandard",
)
_PROXIES: Final = frozenset({"http_proxy", "all_proxy"})


def import_requests(
    environment: Mapping[str, str] = os.environ, *, needs_tls: bool = False
) -> None:
    """Import `requests` for plain HTTP; where anything is spoken to with TLS, all of it."""
    proxies = [value for name, value in environment.items() if name.lower() in _PROXIES]
    if needs_tls or any(proxy.strip().lower().startswith("https:") for proxy in proxies):
        return
    with hidden(_UNUSED), warnings.catch_warnings():
        # It would have a person install a guesser.
        warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
        import requests  # noqa: F401, PLC0415 - it stays imported, and is what others then find
