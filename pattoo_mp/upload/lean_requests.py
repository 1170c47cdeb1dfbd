"""Imports `requests` without modules that a post over plain HTTP never uses.

Its import takes 10 MB, a third of it for the bindings of OpenSSL and two libraries that guess
encodings. All of these are optional for `requests`: it works on a Python that lacks them.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.lean_imports import hiding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: TLS, with its libraries; guessing of encodings; other JSON libraries; compression that we do not
#: request.
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
    """Import `requests` without the unused modules; do nothing if a server or a proxy needs TLS."""
    proxies = [value for name, value in environment.items() if name.lower() in _PROXIES]
    if needs_tls or any(proxy.strip().lower().startswith("https:") for proxy in proxies):
        return
    with warnings.catch_warnings():
        # It would advise the user to install a library that guesses encodings, or another release of it.
        warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
        warnings.filterwarnings("ignore", r"(?s).*doesn't match a supported version")
        try:
            _import_without(_UNUSED)
        except ImportError:
            # Releases before 2.32 (Debian 12 has 2.28) need one such library. This one is the smaller (0.4 MB).
            _import_without([name for name in _UNUSED if name != "charset_normalizer"])


def _import_without(modules: Iterable[str]) -> None:
    with hiding(modules):
        import requests  # noqa: F401, PLC0415 - stays in sys.modules, where later imports find it
