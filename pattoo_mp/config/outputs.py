"""The check of the setting `outputs`: where polls are sent.

Each entry of the list becomes an `Output` with what the entry itself sets. What it leaves out is filled
in by `Config.outputs`. All errors are found at once; each names the entry and the key. Nothing that may
be a secret is shown: the values of headers, and what is in place of the path of a file with credentials.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from pattoo_mp.config import validators
from pattoo_mp.config.families import EVERY
from pattoo_mp.config.validators import InvalidPart, InvalidPartError, InvalidPartsError
from pattoo_mp.config.values import (
    LISTEN,
    PATTOO,
    PULL,
    REMOTE_WRITE,
    Output,
    Trust,
    host_in_url,
    is_loopback,
)
from pattoo_mp.config.yaml_files import NOT_SHOWN, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KINDS: Final = (PATTOO, REMOTE_WRITE, PULL)
#: Those that post.
_POSTING: Final = (PATTOO, REMOTE_WRITE)
NAMINGS: Final = ("prometheus", "pattoo")
MAX_OUTPUTS: Final = 8
_MAX_LABELS: Final = 16
_MAX_LABEL_NAME: Final = 128
_MAX_LABEL_VALUE: Final = 256
_MAX_HEADERS: Final = 16
_MAX_HEADER_NAME: Final = 128
_MAX_HEADER_VALUE: Final = 4096
_MAX_NETWORKS: Final = 256

URL_EXAMPLE: Final = "https://metrics.example.org/api/v1/write"

_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
#: A token of RFC 9110.
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Headers that the agent or the HTTP library sets.
_OF_PROTOCOL: Final = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
    "content-type", "cookie", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
    "x-prometheus-remote-write-version",
})  # fmt: skip


def check(value: object) -> tuple[Output, ...]:
    """Accept a list of outputs; None stands for none, so the one that other settings name.

    Raises `InvalidPartsError` with all errors of all entries, or `ValueError`.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if not 1 <= len(value) <= MAX_OUTPUTS:
        raise InvalidPartError(f"{len(value)} outputs", f"1 to {MAX_OUTPUTS} outputs")
    entries = [_Entry(number, given) for number, given in enumerate(value, 1)]
    parts = [part for entry in entries for part in entry.parts]
    parts += _same_names(entries)
    if parts:
        raise InvalidPartsError(parts)
    return tuple(entry.output() for entry in entries)


def shown(value: object) -> object:
    """Return the setting as it may be shown, whether it is valid or not."""
    if isinstance(value, list):
        return [shown(entry) for entry in value]
    if not isinstance(value, dict):
        return redacted(value)
    return {redacted(key): _shown(key, given) for key, given in value.items()}


def _shown(key: object, given: object) -> object:
    if key == "headers":
        if not isinstance(given, dict):
            return NOT_SHOWN
        return {_shown_name(name, text): NOT_SHOWN for name, text in given.items()}
    one = _KEYS.get(str(key))
    # A key with a typo may hold what the right one would hide.
    if one is None or (one.hides and not str(given).startswith("/")):
        return NOT_SHOWN
    return redacted(given)


def _shown_name(name: object, text: object) -> str:
    """Return the name of a header as it may be shown.

    With a typo the name holds the value, too: `{X-Api-Key:secret}` is a name without a value.
    """
    return name if text is not None and _is_header_name(name) else NOT_SHOWN


# --- the values of keys


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError
    return value


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    return validators.url_with_path(value, _A_URL)


def _listen(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    host, colon, port = value.strip().rpartition(":")
    if (
        not colon
        or not port.isascii()
        or not port.isdigit()
        or (":" in host) != host.startswith("[")
    ):
        raise ValueError
    return f"{host_in_url(validators.host(host.strip('[]')))}:{validators.port(int(port))}"


def _allow(value: object) -> tuple[str, ...]:
    words = validators.text_list(value)
    if not 1 <= len(words) <= _MAX_NETWORKS:
        raise InvalidPartError(f"{len(words)} networks", f"1 to {_MAX_NETWORKS} networks")
    found = []
    for word in words:
        try:
            found.append(str(ipaddress.ip_network(word.strip())))
        except ValueError:
            raise InvalidPartError(word, "a network such as 10.0.0.0/8, or an address") from None
    return tuple(found)


def _families(value: object) -> tuple[str, ...]:
    words = validators.text_list(value)
    if not words:
        raise InvalidPartError(value, "at least one family; leave families out for all")
    for word in words:
        if word not in EVERY:
            known = f"one of {', '.join(EVERY)}"
            raise InvalidPartError(word, validators.nearest(word.strip().lower(), EVERY, known))
    return tuple(name for name in EVERY if name in words)


def _labels(value: object) -> tuple[tuple[str, str], ...]:
    labels = _texts(value, _MAX_LABELS, "labels")
    for name, text in labels:
        if len(name) > _MAX_LABEL_NAME or not _LABEL.fullmatch(name):
            expected = (
                "the name of a label: letters, digits and _, not beginning with a digit or __"
            )
            raise InvalidPartError(name, expected)
        if (
            not isinstance(text, str)
            or not text.isprintable()
            or not 0 < len(text) <= _MAX_LABEL_VALUE
        ):
            expected = f"text of 1 to {_MAX_LABEL_VALUE} printable characters, for {name}"
            raise InvalidPartError(text, expected)
    return labels


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    try:
        headers = _texts(value, _MAX_HEADERS, "headers")
    except ValueError as error:
        raise InvalidPartError(NOT_SHOWN, _SOME_HEADERS) from error
    seen: set[str] = set()
    for name, text in headers:
        if text is None or not _is_header_name(name):
            raise InvalidPartError(
                NOT_SHOWN, "the name of an HTTP header, a colon, a blank, and its value"
            )
        if name.lower() in _OF_PROTOCOL:
            instead = "credentials_file" if name.lower() == "authorization" else "another header"
            raise InvalidPartError(name, f"{instead}: the agent sets this one itself")
        if name.lower() in seen:
            raise InvalidPartError(name, "each header once, in upper or lower case")
        seen.add(name.lower())
        if not _is_header_value(text):
            expected = f"1 to {_MAX_HEADER_VALUE} printable ASCII characters as text, for {name}"
            raise InvalidPartError(NOT_SHOWN, expected)
    return headers


def _is_header_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and len(name) <= _MAX_HEADER_NAME and bool(_HEADER.fullmatch(name))


def _is_header_value(text: object) -> bool:
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isprintable()
        and text.strip() == text
        and 0 < len(text) <= _MAX_HEADER_VALUE
    )


def _texts(value: object, most: int, what: str) -> tuple[tuple[str, Any], ...]:
    """Return the items of a mapping whose keys are texts."""
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if len(value) > most:
        raise InvalidPartError(f"{len(value)} {what}", f"at most {most}")
    for name in value:
        if not isinstance(name, str):
            raise InvalidPartError(name, "text as name, in quotes")
    return tuple(value.items())


# --- the keys


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an entry: its check, what is expected, and the kinds of outputs that have it.

    With `hides`, an invalid value is not shown.
    """

    check: Callable[[object], Any]
    expected: str
    about: str
    kinds: tuple[str, ...] = KINDS
    hides: bool = False


_A_NAME: Final = "1 to 32 characters of a-z, 0-9, _ and -"
_A_URL: Final = f"the URL to write to, with its path, such as {URL_EXAMPLE}"
_SOME_HEADERS: Final = f"at most {_MAX_HEADERS} headers, such as {{X-Scope-OrgID: team}}"
_PEM: Final = "the absolute path of a PEM file that the agent can read"
_PRIVATE: Final = "the absolute path of a file that only the agent's user can read"

_KEYS: Final[Mapping[str, Key]] = {
    "kind": Key(validators.one_of(KINDS), f"one of {', '.join(KINDS)}", "Required."),
    "name": Key(_name, _A_NAME, "The name in status, log and ledger. The default is the kind."),
    "servers": Key(
        validators.servers, f"a list of URLs of pattoo servers, such as {validators.SERVER_EXAMPLE}",
        "The default is the setting servers, or ip_address and ip_bind_port.",
        kinds=(PATTOO,),
    ),
    "url": Key(_url, _A_URL, "Required.", kinds=(REMOTE_WRITE,)),
    "naming": Key(
        validators.one_of(NAMINGS), " or ".join(NAMINGS),
        "The names of metrics: those of node_exporter where it has them, or pattoo's keys. "
        "The default is prometheus.",
        kinds=(REMOTE_WRITE,),
    ),
    "labels": Key(
        _labels, f"at most {_MAX_LABELS} labels, such as {{site: basel}}",
        "Labels of every series.",
        kinds=(REMOTE_WRITE,),
    ),
    "headers": Key(
        _headers, _SOME_HEADERS, "HTTP headers of every request. Their values are never shown.",
        kinds=(REMOTE_WRITE,), hides=True,
    ),
    "families": Key(
        _families, "a list of families, such as [processor, memory]",
        "The families that this output gets. The default is all that are polled.",
        kinds=_POSTING,
    ),
    "listen": Key(
        _listen, f"an address and a port, such as {LISTEN}",
        f"Where it listens. The default is {LISTEN}, for a spoke ip_listen_address and ip_bind_port.",
        kinds=(PULL,),
    ),
    "allow": Key(
        _allow, "a list of networks, such as [10.0.0.0/8]",
        "Who may ask, beside this host. The default is everybody who can reach it.",
        kinds=(PULL,),
    ),
    "tokens_file": Key(
        validators.path, _PRIVATE, "A file with a token on each line; who asks has to bring one of them.",
        kinds=(PULL,), hides=True,
    ),
    "tls_ca_file": Key(validators.path, _PEM, "As the setting.", kinds=_POSTING),
    "tls_certificate_file": Key(validators.path, _PEM, "As the setting."),
    "tls_key_file": Key(validators.path, _PEM, "As the setting."),
    "credentials_file": Key(
        validators.path, _PRIVATE, "As the setting.", kinds=_POSTING, hides=True
    ),
    "proxy": Key(validators.proxy, validators.A_PROXY, "As the setting.", kinds=_POSTING),
    "proxy_credentials_file": Key(
        validators.path, _PRIVATE, "As the setting.", kinds=_POSTING, hides=True
    ),
}  # fmt: skip

KEYS: Final = _KEYS


# --- entries


class _Entry:
    """One entry of the list: the checked value of each key, and what is wrong with the others."""

    def __init__(self, number: int, given: object) -> None:
        self.where = f"entry {number}"
        self.parts: list[InvalidPart] = []
        self._found: dict[str, Any] = {}
        if not isinstance(given, dict):
            self._wrong("", given, f"a mapping with the key kind, such as {{kind: {PATTOO}}}")
            return
        self._set = {str(key): one for key, one in given.items() if one is not None}
        if isinstance(given.get("name"), str) and _NAME.fullmatch(given["name"]):
            self.where = given["name"]
        if "kind" not in self._set:
            self._missing("kind")
        kind = self._check("kind") if "kind" in self._set else None
        allowed = [key for key, one in _KEYS.items() if kind is None or kind in one.kinds]
        for key in self._set:
            if key not in allowed:
                self._unknown(key, kind, allowed)
            elif key != "kind":
                self._check(key)
        if kind == REMOTE_WRITE and "url" not in self._set:
            self._missing("url")
        self._check_who_may_ask()

    @property
    def name(self) -> str | None:
        """Its name; None if that cannot be known."""
        return None if "name" in self._bad else self._found.get("name", self._found.get("kind"))

    @property
    def _bad(self) -> set[str]:
        return {part.key for part in self.parts}

    def output(self) -> Output:
        """Return what a valid entry sets."""
        get = self._found.get
        return Output(
            kind=self._found["kind"],
            name=self.name or "",
            urls=(self._found["url"],) if "url" in self._found else get("servers", ()),
            trust=Trust(
                get("tls_ca_file"),
                get("tls_certificate_file"),
                get("tls_key_file"),
                get("credentials_file"),
                get("proxy_credentials_file"),
                get("tokens_file"),
            ),
            proxy=get("proxy"),
            families=get("families"),
            naming=get("naming", NAMINGS[0]) if get("kind") == REMOTE_WRITE else "",
            labels=get("labels", ()),
            headers=get("headers", ()),
            listen=get("listen", ""),
            allow=get("allow", ()),
        )

    def _check(self, key: str) -> Any:  # noqa: ANN401 - as the key's check returns it
        one, given = _KEYS[key], self._set[key]
        try:
            self._found[key] = one.check(given)
        except InvalidPartError as error:
            # What checks headers shows what may be shown.
            hides = one.hides and key != "headers"
            self._wrong(key, NOT_SHOWN if hides else error.given, error.expected)
        except (ValueError, OverflowError):
            self._wrong(key, NOT_SHOWN if one.hides else given, one.expected)
        return self._found.get(key)

    def _check_who_may_ask(self) -> None:
        listen = self._found.get("listen", LISTEN)
        if not (is_loopback(listen) or "allow" in self._set or "tokens_file" in self._set):
            expected = "allow or tokens_file beside an address that others can reach"
            self._wrong("listen", listen, expected)

    def _missing(self, key: str) -> None:
        self.parts.append(InvalidPart(self.where, key, None, _KEYS[key].expected, "is not set"))

    def _unknown(self, key: str, kind: str | None, allowed: list[str]) -> None:
        what = f"is not a key of an output of kind {kind}" if key in _KEYS else "unknown key"
        expected = f"one of {', '.join(allowed)}"
        if key not in _KEYS:
            expected = validators.nearest(key.lower(), allowed, expected)
        self.parts.append(InvalidPart(self.where, key, None, expected, what))

    def _wrong(self, key: str, given: object, expected: str) -> None:
        self.parts.append(InvalidPart(self.where, key, given, expected))


def _same_names(entries: list[_Entry]) -> list[InvalidPart]:
    parts, seen = [], set()
    for number, entry in enumerate(entries, 1):
        if entry.name in seen:
            expected = "a name that no other output has; without the key, it is the kind"
            parts.append(InvalidPart(f"entry {number}", "name", entry.name, expected))
        if entry.name is not None:
            seen.add(entry.name)
    return parts
