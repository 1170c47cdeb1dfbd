"""What must not leave the host in an archive of `--support`: secrets, and the names of hosts.

A text is masked in three ways. Every secret that the configuration, the files that it names, and the
environment hold is replaced wherever it stands. What looks like a secret is replaced, too: a log also has
lines of other programs. The names and addresses of hosts are replaced by others, the same each time, so that
the text can still be followed.
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.parse
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from pattoo_mp.config import secrets
from pattoo_mp.config.yaml_files import NOT_SHOWN, read_content
from pattoo_mp.errors import ConfigError
from pattoo_mp.util import files
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

#: Shorter ones are not looked for: each text has them by chance. Patterns find most of these.
_SHORTEST: Final = 4
#: Much more than a configuration has, hubs' targets included.
_MOST_FILES: Final = 2_000
_MOST_BYTES: Final = 1 << 20

#: A name of a setting, a header or a variable whose value may be a secret.
_SECRET_NAME: Final = re.compile(
    r"passw|passphrase|[_-]pwd$|secret|token|credential|api[_-]?key|auth(?!or)|cookie|private",
    re.IGNORECASE,
)
#: A name whose value is a path, if it begins with a slash. That of a secret may begin so, too.
_PATH_NAME: Final = re.compile(r"(?:file|path|dir|directory|home|root|sock|socket)$", re.IGNORECASE)
#: Settings and keys that name a file with a secret on each line.
_SECRET_FILES: Final = re.compile(r"(?:credentials|tokens?)_file", re.IGNORECASE)
#: Settings and keys with the name or the address of a host, or with several.
_HOST_NAME: Final = re.compile(
    r"^(?:hostname|ip_address|ip_listen_address|listen|hub_name)$", re.IGNORECASE
)

_USER_INFO: Final = re.compile(r"(?:^(?!\w+://)|//)([^/\s@:]*):(\S*)@")
_QUERY: Final = re.compile(r"://[^\s?#]*[?#](\S+)")
_HOST_OF_URL: Final = re.compile(r"://(?:[^/\s]*@)?(\[[^\]\s]+\]|[^/\s:?#]+)")

_TELLING: Final = (
    r"(?:passw(?:or)?d|pass_?phrase|pwd|secret|token|api[_-]?key|credentials?)[\w-]{0,40}+"
)
_HEADER: Final = (
    r"(?<![\w-])(?:(?:proxy-)?authorization|(?:set-)?cookie"
    r"|x-[\w-]{0,40}(?:key|token|auth|secret)[\w-]{0,40}+)"
)
#: Between a name and its value. Both may be quoted, and the quotes escaped.
_SEPARATOR: Final = r"\\?[\"']?\s{0,9}+(?:=>|[:=])\s{0,9}+"
#: A value to the end of its quotes. Python before 3.11.5 finds too little with a possessive group of alternatives.
_QUOTED: Final = (
    r"(?P<quote>\\[\"'])(?:(?!(?P=quote))[^\n])+"
    r"|(?P<double>\")(?:\\.|[^\"\\\n])+"
    r"|(?P<single>')(?:\\.|[^'\\\n])+"
)
#: A value to the end of the word, without what ends a sentence or a list.
_WHOLE_WORD: Final = r"[^\s\"\\]*[^\s\"',;}\])\\]"


def _value(before: str, unquoted: str = _WHOLE_WORD) -> re.Pattern[str]:
    """Return a pattern of a value that stands after this, unless it is hidden already, or a path."""
    return re.compile(
        rf"(?P<before>{before})(?!\\?[\"']?(?:\(not shown\)|\(|/[\w.-]+/))(?:{_QUOTED}|{unquoted})",
        re.IGNORECASE,
    )


def _hide(found: re.Match[str]) -> str:
    """Leave what is before a value, with its first quote."""
    quote = found["quote"] or found["double"] or found["single"] or ""
    return f"{found['before']}{quote}{NOT_SHOWN}"


#: Values whose names tell that they are secrets: of headers, settings, variables, options.
_VALUES: Final = (
    _value(_HEADER + _SEPARATOR, r"digest\s[^\n]++|[^\"'\n\\]++"),
    _value(rf"{_TELLING}(?<!_file)(?<!_path){_SEPARATOR}"),
    _value(rf"(?<![\w-])--[\w-]{{0,40}}{_TELLING}\s{{1,9}}+(?![\s-])"),
    _value(r"(?<![\w-])(?:-u|--user)(?:\s{1,9}+|=)[\w.@-]{1,64}:"),
)
#: What looks like a secret in a text, with what stays of it. All are bounded: a log may hold anything.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    # With the ends of its lines as they are, or escaped.
    (
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[\sA-Za-z0-9+/=]|\\n){0,9000}"),
        NOT_SHOWN,
    ),
    *((pattern, _hide) for pattern in _VALUES),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {NOT_SHOWN}"),
    (re.compile(r"\beyJ[\w-]{8,4000}\.[\w.-]+"), NOT_SHOWN),
    # An agent's identity: who has it can send as that agent. And the pass phrase of its key.
    (re.compile(r"\b[0-9a-fA-F]{64}\b"), "(64 digits, not shown)"),
)
#: What stands where a text was cut.
_CUT: Final = re.compile(r"(…|\\u2026)")

#: From the end of its scheme on; matches do not overlap, so a text of nothing else takes no longer.
_URL: Final = re.compile(r"://[^\s\"'<>]+")

#: What may be the name of a host in a text, or its address.
_WORD: Final = re.compile(r"\w(?:[\w.-]*\w)?")
_ADDRESS: Final = re.compile(r"(?<![\w:])[0-9a-fA-F:]{2,45}(?![\w:])")
#: Names that are in each text anyway, and tell nothing.
_COMMON: Final = frozenset({
    "agent", "control", "collector", "host", "linux", "localhost", "none", "pattoo", "root", "server",
    "uploader", "0.0.0.0", "::", "::1",  # noqa: S104 - it binds nothing
})  # fmt: skip
#: This host in a masked text.
THIS_HOST: Final = "this-host"


class Masks:
    """The secrets that are known, longest first, and the names of hosts, each with another."""

    def __init__(self, secrets: Sequence[str] = (), names: Mapping[str, str] | None = None) -> None:
        self.names = dict(names or {})
        self._secrets = secrets
        self._longest = max(map(len, secrets), default=0)
        self._by_beginning: dict[str, list[str]] = {}
        for secret in secrets:
            self._by_beginning.setdefault(secret[:_SHORTEST], []).append(secret)
        self._has_addresses = any(":" in name for name in self.names)

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Masks:
        """Make it of what `gather` returned."""
        return cls(sent["secrets"], sent["names"])

    def text(self, text: str) -> str:
        """Return a text without secrets, and with other names of hosts."""
        for secret in self._secrets:
            text = text.replace(secret, NOT_SHOWN)
        *cut, last = _CUT.split(text)
        text = "".join((*map(self._without_beginning, cut), last))
        text = _URL.sub(_without_secrets, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        text = _WORD.sub(self._other, text)
        return _ADDRESS.sub(self._other, text) if self._has_addresses else text

    def _without_beginning(self, text: str) -> str:
        """Hide the beginning of a secret at the end of a text: what follows of it was cut off."""
        for start in range(max(0, len(text) - self._longest), len(text) - _SHORTEST + 1):
            for secret in self._by_beginning.get(text[start : start + _SHORTEST], ()):
                if secret.startswith(text[start:]):
                    return f"{text[:start]}{NOT_SHOWN}"
        return text

    def _other(self, found: re.Match[str]) -> str:
        return self.names.get(found[0].lower(), found[0])

    def content(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return JSON with each text in it masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(name)): self._member(str(name), one) for name, one in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.content(one) for one in value]
        return value

    def _member(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """What a name tells about a value is lost where each text is masked alone."""
        if isinstance(value, str) and self.text(f"{name}: {value}") == f"{name}: {NOT_SHOWN}":
            return NOT_SHOWN
        return self.content(value)


def _without_secrets(found: re.Match[str]) -> str:
    """A URL without user, password, query and fragment. A password may hold any character."""
    url = found[0]
    if "@" in url:
        url = f"://…@{url.rpartition('@')[2]}"
    before, mark, _ = url.replace("#", "?").partition("?")
    return f"{before}?…" if mark else before


# --- what to mask


def gather(directory: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the secrets and the names of hosts that a configuration and the environment hold.

    It reads what there is: of a file that cannot be parsed its lines, and nothing of one that cannot be
    read, for then nothing of it is in the archive either.
    """
    found = _Found()
    for path in islice(_configuration(directory), _MOST_FILES):
        found.add_file(path)
    for name, value in environment.items():
        found.add_variable(name, value)
    for path in (*found.identities(), Path("/etc/hostname")):
        found.add_own_name(_first_line(path))
    found.add_own_name(os.uname().nodename)
    return {"secrets": found.variants(), "names": found.other_names()}


def _configuration(directory: Path) -> Iterator[Path]:
    for pattern in ("*.yaml", "*.yml", "*.yaml.d/*.yaml", "*.yaml.d/*.yml"):
        yield from sorted(directory.glob(pattern))


def _first_line(path: Path) -> str:
    try:
        return files.read_file(path, 1_000).decode("utf-8", "replace").partition("\n")[0].strip()
    except OSError:
        return ""


class _Found:
    """The secrets and names that were found."""

    def __init__(self) -> None:
        self._secrets: dict[str, None] = {}
        self._own: dict[str, None] = {}
        self._others: dict[str, None] = {}
        self._directories: list[Path] = []
        self._read: set[Path] = set()

    def add_file(self, path: Path) -> None:
        """Add what a file of the configuration has."""
        if path in self._read:
            return
        self._read.add(path)
        try:
            self._walk("", read_content(path))
        except ConfigError:
            try:
                content = files.read_file(path, _MOST_BYTES).decode("utf-8", "replace")
            except OSError:
                return
            for line in content.splitlines():
                name, _, value = line.strip(" -\t").partition(":")
                self._add_text(name.strip("\"' "), value.strip("\"' "))

    def add_variable(self, name: str, value: str) -> None:
        """Add what a variable of the environment has: `PATTOO_AGENT_…` may hold any setting."""
        setting = name.removeprefix("PATTOO_AGENT_").removeprefix("API_").lower()
        content: object = value
        if setting != name.lower():
            try:
                content = yaml.safe_load(value[:_MOST_BYTES])
            except (yaml.YAMLError, ValueError, RecursionError):
                content = value
        self._walk(setting, content)

    def add_own_name(self, name: str) -> None:
        """Add a name of this host, and its first part."""
        for one in (name, name.partition(".")[0]):
            self._own.setdefault(one.lower())

    def identities(self) -> Iterator[Path]:
        """Yield the files in which agents keep the name of their host."""
        for directory in self._directories:
            yield from sorted(directory.glob("agent_id/*.hostname"))

    def variants(self) -> list[str]:
        """Return each secret as it may stand in a text: as it is, quoted, escaped or encoded."""
        every: dict[str, None] = {}
        for secret in self._secrets:
            forms = [secret, printable(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]]
            forms += [*_percent_encoded(secret), urllib.parse.unquote(secret)]
            forms += _in_base64(secret)
            every |= dict.fromkeys(form for form in forms if len(form) >= _SHORTEST)
        return sorted(every, key=len, reverse=True)

    def other_names(self) -> dict[str, str]:
        """Return each name and address with the one that is shown for it."""
        own = [name for name in self._own if _tells(name)]
        others = [name for name in self._others if _tells(name) and name not in self._own]
        numbered = {name: f"host-{number}" for number, name in enumerate(others, 1)}
        return dict.fromkeys(own, THIS_HOST) | numbered

    def _walk(self, key: str, value: object) -> None:
        """Add what a value has, which is a setting's or a part of one."""
        if isinstance(value, dict):
            self._walk_mapping(key, value)
        elif isinstance(value, list):
            for one in value:
                self._walk(key, one)
            if key == "command":
                self._add_arguments([str(one) for one in value])
        elif not isinstance(value, bool):
            self._add_text(key, "" if value is None else str(value))

    def _walk_mapping(self, key: str, value: Mapping[object, object]) -> None:
        for name, one in value.items():
            if key == "headers":
                self._add_header(str(name), one)
            elif key == "environment":
                self._add_of_command(str(name), str(one))
            else:
                self._walk(str(name), one)
        if "ip_address" in value and isinstance(name := value.get("name"), str):
            self._others.setdefault(name.lower())  # a target of a hub

    def _add_arguments(self, words: Sequence[str]) -> None:
        """Add what the name of an option tells about its value."""
        for before, word in pairwise(["", *words]):
            name, equals, after = word.partition("=")
            self._add_of_key(*((name, after) if equals else (before, word)))

    def _add_of_command(self, name: str, value: str) -> None:
        """Add a variable of a command: it is there for what `ps` should not show, whatever its name is."""
        self._add_text(name, value)
        if not value.startswith("/") and value.lower() not in _COMMON:
            self._add_secrets(value, *_parts(value))

    def _add_header(self, name: str, value: object) -> None:
        # With a typo, `{X-Api-Key:secret}`, the name holds the value.
        self._add_secrets(name.partition(":")[2].strip() if value is None else str(value))

    def _add_text(self, key: str, value: str) -> None:
        self._add_of_key(key, value)
        for text in (key, value):
            for user, password in _USER_INFO.findall(text):
                self._add_secrets(password, f"{user}:{password}")
            for query in _QUERY.findall(text):
                self._add_secrets(query, *(part.partition("=")[2] for part in query.split("&")))
            for host in _HOST_OF_URL.findall(text):
                self._others.setdefault(host.strip("[]").lower())

    def _add_of_key(self, key: str, value: str) -> None:
        """Add what the name of a setting or a variable tells about its value."""
        is_path = value.startswith("/") and bool(_PATH_NAME.search(key))
        if key == "headers":
            self._add_secrets(value, value.partition(":")[2].strip())
        elif _SECRET_NAME.search(key) and not is_path:
            self._add_secrets(value, *_parts(value))
        elif is_path:
            self._add_path(key, Path(value))
        elif key == "hostname":
            self.add_own_name(value)
        elif _HOST_NAME.match(key):
            host = value.rpartition(":")[0] if key == "listen" else value
            self._others.setdefault(host.strip("[]").lower())

    def _add_path(self, key: str, path: Path) -> None:
        """Add what is in the file or the directory that a setting names."""
        if _SECRET_FILES.search(key):
            self._add_secret_file(path)
        elif key == "targets_directory":
            for file in islice(sorted(path.glob("*.*")), _MOST_FILES):
                self.add_file(file)
        elif key == "daemon_directory":
            self._directories.append(path)

    def _add_secret_file(self, path: Path) -> None:
        try:
            content = secrets.read_secret(path)
        except (OSError, ValueError, secrets.NotSecretError):
            try:
                content = files.read_file(path, _MOST_BYTES)
            except (OSError, ValueError):
                return
        for line in content.decode("utf-8", "replace").splitlines():
            self._add_secrets(line.strip(), *_parts(line.strip()))

    def _add_secrets(self, *found: str) -> None:
        for secret in found:
            if len(secret) >= _SHORTEST and secret not in {NOT_SHOWN, "true", "false"}:
                self._secrets.setdefault(secret)


def _parts(credentials: str) -> Iterable[str]:
    """Return the password of `user:password`."""
    user, colon, password = credentials.partition(":")
    return (password,) if user and colon else ()


def _percent_encoded(secret: str) -> Iterator[str]:
    """Yield a secret as the parts of a URL have it, with digits of either case."""
    quote, quote_plus = urllib.parse.quote, urllib.parse.quote_plus
    for form in (
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=":"),
        quote_plus(secret),
    ):
        yield form
        yield re.sub("%..", lambda found: found[0].lower(), form)


def _in_base64(secret: str) -> Iterator[str]:
    """Yield a secret in both alphabets, without what fills it up."""
    for encoding in ("utf-8", "latin-1"):
        try:
            content = secret.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            continue
        for form in (base64.b64encode(content), base64.urlsafe_b64encode(content)):
            yield form.decode().rstrip("=")


def _tells(name: str) -> bool:
    """Whether a name tells which host it is."""
    return len(name) > 1 and name not in _COMMON and not name.startswith("127.")
