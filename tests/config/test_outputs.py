"""The setting `outputs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from pattoo_mp.config import load
from pattoo_mp.config.outputs import shown
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.values import Config
from pattoo_mp.program import SPOKE, acting_as
from tests.config.test_load import NAME, Files
from tests.support.tls import Authority

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://metrics.example.org/api/v1/write"
REMOTE = {"kind": "remote_write", "url": URL}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A valid configuration."""
    return Files(tmp_path)


def checked(files: Files, *outputs: object, **settings: object) -> Config:
    """The configuration with these outputs, which must be valid."""
    files.agent[NAME] |= {"outputs": list(outputs), **settings}
    files.write()
    return load.check(files.directory)


def problems(files: Files, outputs: object) -> list[str]:
    """The lines without the beginning that all share."""
    files.agent[NAME]["outputs"] = outputs
    start = f"{files.directory}/{NAME}.yaml: {NAME}: outputs: "
    found = files.problems()
    assert all(problem.startswith(start) for problem in found)
    return [problem.removeprefix(start) for problem in found]


def test_without_the_setting_there_is_one_output_for_pattoo(files: Files) -> None:
    """As before there were others."""
    (output,) = files.load().outputs
    assert (output.kind, output.name, output.urls) == (
        "pattoo",
        "pattoo",
        ("http://localhost:20201",),
    )
    assert output.named_by == "ip_address and ip_bind_port"


def test_outputs_keep_their_order_and_cross_to_the_workers(files: Files) -> None:
    """With everything that they set, as MessagePack carries it."""
    config = checked(
        files,
        {
            **REMOTE,
            "name": "metrics",
            "naming": "pattoo",
            "labels": {"site": "basel"},
            "headers": {"X-Scope-OrgID": "team"},
            "families": ["memory", "processor"],
            "tls_ca_file": "/etc/ca.pem",
            "proxy": "http://proxy:3128",
        },
        {"kind": "pattoo"},
    )
    first, second = config.outputs
    assert (first.name, first.urls, first.naming) == ("metrics", (URL,), "pattoo")
    assert first.labels == (("site", "basel"),)
    assert first.headers == (("X-Scope-OrgID", "team"),)
    assert first.families == ("processor", "memory")
    assert str(first.trust.ca_file) == "/etc/ca.pem"
    assert first.proxy == "http://proxy:3128"
    assert (second.name, config.heir) == ("pattoo", "pattoo")
    assert config.needs_tls
    sent = msgpack.unpackb(msgpack.packb(config.fields()))
    assert Config.of(sent) == config
    assert Config.of(sent).outputs == config.outputs


def test_an_output_for_pattoo_takes_from_the_top_level_what_it_does_not_set(files: Files) -> None:
    """Secrets only where the setting beside them is from the top level too."""
    top = {
        "servers": ["https://one"],
        "tls_ca_file": "/ca",
        "tls_certificate_file": "/certificate",
        "tls_key_file": "/key",
        "credentials_file": "/credentials",
        "proxy": "http://proxy:1",
        "proxy_credentials_file": "/proxy",
    }
    own = {"servers": ["https://two"], "tls_certificate_file": "/own", "proxy": "http://other:2"}
    same, other, remote = checked(
        files, {"kind": "pattoo"}, {"kind": "pattoo", "name": "b", **own}, REMOTE, **top
    ).outputs
    assert same.urls == ("https://one",)
    assert [str(path) for path in (same.trust.key_file, same.trust.credentials_file)] == [
        "/key",
        "/credentials",
    ]
    assert (other.urls, other.proxy) == (("https://two",), "http://other:2")
    assert (str(other.trust.ca_file), str(other.trust.certificate_file)) == ("/ca", "/own")
    assert other.trust.key_file is None
    assert other.trust.credentials_file is None
    assert other.trust.proxy_credentials_file is None
    assert (remote.proxy, remote.trust.ca_file, remote.trust.credentials_file) == (None, None, None)


def test_all_errors_are_found_at_once_each_with_its_entry_and_key(files: Files) -> None:
    """An entry is named by its name, or by its number."""
    lines = problems(
        files,
        [
            {"kind": "kafka", "name": "a"},
            {"kind": "remote_write", "name": "metrics", "url": "ftp://x/y", "nameing": "pattoo"},
            {"kind": "remote_write", "name": "Bad Name"},
            "pattoo",
            {"kind": "pattoo", "url": URL, "families": ["memori"]},
            {},
        ],
    )
    keys = [line.split("; expected ")[0] for line in lines]
    assert keys == [
        "a: kind: 'kafka'",
        "metrics: nameing: unknown key",
        "metrics: url: 'ftp://x/y'",
        "entry 3: name: 'Bad Name'",
        "entry 3: url: is not set",
        "entry 4: 'pattoo'",
        "entry 5: families: 'memori'",
        "entry 5: url: is not a key of an output of kind pattoo",
        "entry 6: kind: is not set",
    ]
    assert lines[0].endswith("expected one of pattoo, remote_write, pull")
    assert lines[1].endswith("expected naming")
    assert lines[6].endswith("expected memory")


@pytest.mark.parametrize("outputs", ["pattoo", {"kind": "pattoo"}, 1, [], [{"kind": "pattoo"}] * 9])
def test_only_a_list_of_1_to_8_outputs_is_accepted(files: Files, outputs: object) -> None:
    """Anything else is one line."""
    files.agent[NAME]["outputs"] = outputs
    (problem,) = files.problems()
    assert ": outputs: " in problem


def test_two_outputs_must_not_share_a_name(files: Files) -> None:
    """Their accounts would be one. The default is the kind."""
    (line,) = problems(files, [{"kind": "pattoo"}, {"kind": "pattoo"}])
    assert line.startswith("entry 2: name: 'pattoo'; expected a name that no other output has")
    (line,) = problems(files, [{"kind": "pattoo"}, {**REMOTE, "name": "pattoo"}])
    assert line.startswith("entry 2: name: 'pattoo'; expected")


@pytest.mark.parametrize("name", ["", "A", "a b", "ä", "x" * 33, 1, "a/b", "a\n"])
def test_a_bad_name_is_refused(files: Files, name: object) -> None:
    """It is in a status, a log and a ledger."""
    (line,) = problems(files, [{**REMOTE, "name": name}])
    assert line.startswith("entry 1: name: ")
    assert line.endswith("expected 1 to 32 characters of a-z, 0-9, _ and -")


@pytest.mark.parametrize(
    "url",
    ["metrics", "https://x", "https://x/", "https://x/a?b", "https://x/a#b", "https://u:p@x/a",
     "ftp://x/a", "https:///a", "https://x:0/a", "https://x/a b", 1],
)  # fmt: skip
def test_a_bad_url_is_refused(files: Files, url: object) -> None:
    """A password in it is not shown."""
    (line,) = problems(files, [{**REMOTE, "url": url}])
    assert line.startswith("entry 1: url: ")
    assert "u:p" not in line


def test_the_url_of_a_cluster_may_have_a_colon(files: Files) -> None:
    """As VictoriaMetrics' has it, with a tenant."""
    url = "http://vminsert:8480/insert/0:0/prometheus/api/v1/write"
    assert checked(files, {**REMOTE, "url": url}).outputs[0].urls == (url,)


@pytest.mark.parametrize(
    "labels",
    [[], {"": "x"}, {"1a": "x"}, {"__name__": "x"}, {"a-b": "x"}, {"a": 1}, {"a": ""}, {"a": "x\n"},
     {"a": "x" * 257}, {1: "x"}, {f"a{n}": "x" for n in range(17)}],
)  # fmt: skip
def test_bad_labels_are_refused(files: Files, labels: object) -> None:
    """Names as Prometheus wants them, values of text, not too many."""
    (line,) = problems(files, [{**REMOTE, "labels": labels}])
    assert line.startswith("entry 1: labels: ")


@pytest.mark.parametrize(
    "headers",
    [[], {"": "secret"}, {"a b": "secret"}, {"Content-Type": "secret"}, {"host": "secret"},
     {"AUTHORIZATION": "secret"}, {"Cookie": "secret"}, {"X-A": 5}, {"X-A": "secret\r\nX: y"},
     {"X-A": " secret"}, {"X-A": "sécret"}, {"X-A": "secret", "x-a": "secret"}, "secret",
     {"X-A:secret": None}, {"secret": None}, {"X-A: secret": "x"}, "/secret",
     {f"X-{n}": "secret" for n in range(17)}],
)  # fmt: skip
def test_bad_headers_are_refused_and_their_values_never_shown(
    files: Files, headers: object
) -> None:
    """Those of the protocol are the agent's, and a value may be a secret."""
    (line,) = problems(files, [{**REMOTE, "headers": headers}])
    assert line.startswith("entry 1: headers: ")
    assert "secret" not in line
    assert "sécret" not in line


def test_nothing_secret_is_shown() -> None:
    """Not by --check either, also for a key with a typo and a secret in place of its file."""
    found: Any = shown(
        [
            {
                **REMOTE,
                "headers": {"X-A": "secret"},
                "header": {"X-A": "secret"},
                "credentials_file": "secret",
                "proxy": "http://user:secret@proxy",
            },
            {"headers": "secret"},
            {"headers": "/secret"},
            {"headers": {"X-A:secret": None, "X-B\nX-C: secret": "x", "secret": None}},
            {"url": f"{URL}?token=secret"},
        ]
    )
    assert "secret" not in str(found)
    assert found[0]["url"] == URL


def test_a_family_that_is_not_polled_gets_a_note(files: Files) -> None:
    """And an output that gets nothing at all."""
    files.agent[NAME]["outputs"] = [{**REMOTE, "families": ["raid"]}]
    files.write()
    notes = read_files(files.directory).notes
    start = f"{files.directory}/{NAME}.yaml: {NAME}: outputs: remote_write: "
    assert notes == (
        f"{start}families: raid is not polled, because this family is off",
        f"{start}gets nothing, because none of its families is polled",
    )


def test_settings_of_pattoo_get_a_note_without_an_output_of_that_kind(files: Files) -> None:
    """They are for nobody."""
    files.agent[NAME] |= {"outputs": [REMOTE], "servers": ["https://x"], "encrypted": True}
    files.write()
    notes = [line.rsplit(f"{NAME}: ", 1)[1] for line in read_files(files.directory).notes]
    assert notes == [
        "servers: has no effect, because no output is of kind pattoo",
        "encrypted: has no effect, because no output is of kind pattoo",
    ]


def test_the_files_of_each_output_are_checked(files: Files) -> None:
    """The line names the output; a file of the top level is named once."""
    (files.directory / "open").write_text("token")
    (files.directory / "open").chmod(0o644)
    path = f"{files.directory}/open"
    config = checked(
        files,
        {"kind": "pattoo"},
        {"kind": "pattoo", "name": "other"},
        {"kind": "remote_write", "url": "http://example.org/w", "credentials_file": path},
        {**REMOTE, "name": "b", "proxy_credentials_file": path, "tls_ca_file": "/nowhere/ca.pem"},
        tls_ca_file="/nowhere/ca.pem",
    )
    found = load.transport_problems(config)
    mode = "is accessible to other users than its owner (mode 0644)"
    lacking = "cannot be read (No such file or directory)"
    assert [(problem.setting, problem.wrong) for problem in found] == [
        ("tls_ca_file", lacking),
        ("outputs: remote_write: credentials_file", mode),
        (
            "outputs: remote_write: credentials_file",
            "would be sent unencrypted to http://example.org/w",
        ),
        ("outputs: b: tls_ca_file", lacking),
        ("outputs: b: proxy_credentials_file", mode),
        ("outputs: b: proxy_credentials_file", "has no proxy to be sent to"),
    ]
    lines = load.transport_file_problems(files.directory, config)
    start = f"{files.directory}/{NAME}.yaml: {NAME}: outputs: b: tls_ca_file: "
    assert lines[3].startswith(f"{start}'/nowhere/ca.pem' cannot be read")


def test_a_missing_library_is_one_line(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if an output needs it."""
    monkeypatch.setattr("pattoo_mp.config.host_checks.find_spec", lambda _: None)
    config = checked(files, {**REMOTE, "name": "metrics"}, {**REMOTE, "name": "b"})
    assert load.remote_write_problems(files.directory, config) == [
        f"{files.directory}/{NAME}.yaml: {NAME}: outputs: metrics: kind: remote_write, but python-snappy "
        "is not installed; expected the extra `remote-write` of pattoo_mp, or Debian's python3-snappy"
    ]
    assert load.remote_write_problems(files.directory, checked(files, {"kind": "pattoo"})) == []


# --- an output that is fetched


def test_an_output_that_is_fetched_listens_at_this_host(files: Files) -> None:
    """By default; its URL is its own."""
    (output,) = checked(files, {"kind": "pull"}).outputs
    assert (output.listen, output.urls, output.named_by) == (
        "127.0.0.1:5000",
        ("http://127.0.0.1:5000",),
        "listen",
    )
    assert not output.is_exposed
    config = checked(files, {"kind": "pull", "listen": "[::1]:80", "allow": ["::1", "10.0.0.0/8"]})
    assert Config.of(msgpack.unpackb(msgpack.packb(config.fields()))) == config
    assert config.outputs[0].allow == ("::1/128", "10.0.0.0/8")


def test_an_output_that_others_can_reach_says_who_may_ask(files: Files) -> None:
    """Or it is refused; with either key it is not."""
    (line,) = problems(files, [{"kind": "pull", "listen": "0.0.0.0:5000"}])
    assert line == (
        "entry 1: listen: '0.0.0.0:5000'; expected allow or tokens_file beside an address that others "
        "can reach"
    )
    allowed = {"kind": "pull", "listen": "0.0.0.0:5000", "allow": ["10.0.0.0/8"]}
    assert not checked(files, allowed).outputs[0].is_exposed


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("listen", "5000", "an address and a port, such as 127.0.0.1:5000"),
        ("listen", "127.0.0.1:0", "an address and a port, such as 127.0.0.1:5000"),
        ("listen", "::1:5000", "an address and a port, such as 127.0.0.1:5000"),
        ("listen", 5000, "an address and a port, such as 127.0.0.1:5000"),
        ("allow", ["10.0.0.1/8"], "a network such as 10.0.0.0/8, or an address"),
        ("allow", [], "1 to 256 networks"),
        ("tokens_file", "token", "the absolute path of a file that only the agent's user can read"),
    ],
)
def test_each_key_of_an_output_that_is_fetched_is_checked(
    files: Files, key: str, value: object, expected: str
) -> None:
    """With what was expected; a token in place of a path is not shown."""
    (line,) = problems(files, [{"kind": "pull", key: value}])
    assert line.startswith(f"entry 1: {key}: ")
    assert line.endswith(f"expected {expected}")
    assert "'token'" not in line


@pytest.mark.parametrize(
    "key", ["servers", "url", "families", "proxy", "credentials_file", "tls_ca_file"]
)
def test_it_has_no_keys_of_outputs_that_post(files: Files, key: str) -> None:
    """They would have no effect."""
    (line,) = problems(files, [{"kind": "pull", key: "x"}])
    assert line.startswith(f"entry 1: {key}: is not a key of an output of kind pull; expected ")


def test_a_spoke_is_configured_as_the_original(tmp_path: Path) -> None:
    """Its two keys, with the original's defaults; then strangers get the original's page only."""
    with acting_as(SPOKE):
        files = Files(tmp_path)
        files.agent = {SPOKE.name: {}}
        files.write()
        config = load.check(files.directory)
        (output,) = config.outputs
        assert (output.kind, output.listen, config.interval_ms) == ("pull", "0.0.0.0:5000", 10_000)
        assert output.is_exposed
        files.agent = {SPOKE.name: {"ip_listen_address": "::", "ip_bind_port": 6000}}
        files.write()
        (output,) = load.check(files.directory).outputs
        assert (output.listen, output.urls) == ("[::]:6000", ("http://[::]:6000",))
        assert output.named_by == "ip_listen_address and ip_bind_port"
        files.agent = {SPOKE.name: {"outputs": [{"kind": "pull", "allow": ["10.0.0.0/8"]}]}}
        files.write()
        (output,) = load.check(files.directory).outputs
        assert (output.listen, output.is_exposed) == ("0.0.0.0:5000", False)


def test_a_spoke_says_which_settings_have_no_effect(tmp_path: Path) -> None:
    """Those of posts, without an output that posts; its certificate has one."""
    certificate, key = Authority(tmp_path).files("localhost")
    output = {
        "kind": "pull", "tls_certificate_file": str(certificate), "tls_key_file": str(key),
    }  # fmt: skip
    with acting_as(SPOKE):
        files = Files(tmp_path)
        for own in ({}, {"outputs": [output]}):
            files.agent = {SPOKE.name: {"servers": ["http://pattoo.example.org"], **own}}
            files.write()
            notes = read_files(files.directory).notes
            assert [note.partition(f"{SPOKE.name}: ")[2] for note in notes] == [
                "servers: has no effect, because no output is of kind pattoo"
            ]
