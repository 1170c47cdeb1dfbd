"""What is hidden in an archive of `--support`, and what is not."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.cli.support_masks import Masks, gather
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from pathlib import Path


def masks_of(directory: Path, content: object, **environment: str) -> Masks:
    """Return the masks of a configuration with this content."""
    (directory / "pattoo.yaml").write_text(yaml.safe_dump(content))
    return Masks.of(gather(directory, environment))


#: What a switch may be set to is no secret.
SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=4, max_size=40).filter(
    lambda text: text not in {"true", "false"}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secret=SECRETS)
def test_no_form_of_a_known_secret_stays(tmp_path: Path, secret: str) -> None:
    """As it is, as a message shows it, in JSON, in a URL."""
    masks = masks_of(tmp_path, {"pattoo_db": {"db_password": secret}})
    for form in (
        secret,
        printable(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ):
        shown = masks.text(f"before {form} after")
        assert (
            form not in shown.removeprefix("before ").removesuffix(" after")
            or form in "(not shown)"
        )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://u:p@h.example.org:1/x?key=v#f end", "http://…@h.example.org:1/x?… end"),
        ("https://t0ken@h/x", "https://…@h/x"),
        ("http://u:p@ss/w@h/x", "http://…@h/x"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: (not shown)"),
        ("proxy-authorization='x y'", "proxy-authorization='(not shown)'"),
        ("with bearer abcdefgh.ijk", "with bearer (not shown)"),
        ("X-Api-Key: a b c", "X-Api-Key: (not shown)"),
        ("Set-Cookie: a=b; c", "Set-Cookie: (not shown)"),
        ('{"api_key": "abc", "x": 1}', '{"api_key": "(not shown)", "x": 1}'),
        ('"{\\"token\\": \\"abc\\"}"', '"{\\"token\\": \\"(not shown)\\"}"'),
        ('token: "a b, c" next', 'token: "(not shown)" next'),
        ("passwd: 'a,b;c' next", "passwd: '(not shown)' next"),
        ("pwd=it's,so next", "pwd=(not shown) next"),
        ("auth_token => abc", "auth_token => (not shown)"),
        ("cmd --db-password abc --x", "cmd --db-password (not shown) --x"),
        ("curl -u bob:abc h", "curl -u bob:(not shown) h"),
        ('Authorization: Digest a="x", response="abc"', "Authorization: (not shown)"),
        ("{'Authorization': '(not shown)', 'x': 1}", "{'Authorization': '(not shown)', 'x': 1}"),
        ("db_password=abc; next", "db_password=(not shown); next"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END", "(not shown)-----END"),
        ("id " + "0f" * 32, "id (64 digits, not shown)"),
        ("jwt eyJhbGciOiJI.eyJzdWIi.c2ln", "jwt (not shown)"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(written: str, shown: str) -> None:
    """In lines of other programs, whose secrets nobody knows."""
    assert Masks().text(written) == shown


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-30 15:05:45,085 WARNING [uploader 27770] http://localhost:20201/pattoo/api/v1/agent/receive/: "
        "Connection refused. Waiting: 1 poll; next attempt in 1000 ms.",
        "credentials_file: /etc/pattoo/credentials is accessible to other users than its owner (mode 0644)",
        "tokens_file: (not shown); expected a file",
        "headers: 'Authorization'; expected credentials_file: the agent sets this one itself",
        "control 27746, 19 MB; eth0.100, /srv/data.1, 10.0.0.0/8, fe80::2",
        "    raise ValueError(f'{key}: {value}')",
    ],
)
def test_what_the_agent_writes_stays(line: str) -> None:
    """An archive in which all is hidden helps nobody."""
    assert Masks().text(line) == line


@pytest.mark.parametrize("mark", ["… (12 characters more)", "… (cut here)", '\\u2026"'])
def test_the_beginning_of_a_secret_that_was_cut_is_hidden(tmp_path: Path, mark: str) -> None:
    """A log shortens long texts, and does not know what it cuts."""
    masks = masks_of(tmp_path, {"pattoo_db": {"db_password": "abababXYZlong"}})
    for length in range(4, 13):
        assert masks.text(f"ab {'abababXYZlong'[:length]}{mark}") == f"ab (not shown){mark}"
    assert masks.text(f"aba{mark} abababX") == f"aba{mark} abababX"


def test_names_and_addresses_are_replaced_where_they_are_whole(tmp_path: Path) -> None:
    """The same each time. What every text has, such as localhost, stays."""
    content = {
        "a": {
            "ip_address": "fd00::17",
            "hostname": "web1.example.org",
            "servers": ["http://localhost:1", "https://10.1.2.3/x", "https://[fd00::18]:1"],
        }
    }
    text = masks_of(tmp_path, content).text(
        "web1 and WEB1.example.org; [fd00::17]:1, fd00::18, 10.1.2.3:20201, 110.1.2.3, localhost, web1-x, fd00::17a"
    )
    assert text.startswith("this-host and this-host; [host-")
    assert text.endswith(", 110.1.2.3, localhost, web1-x, fd00::17a")
    assert "fd00::17]" not in text
    assert "fd00::18" not in text
    assert " 10.1.2.3" not in text


def test_a_switch_is_no_secret(tmp_path: Path) -> None:
    """Whatever its name is."""
    masks = masks_of(tmp_path, {"a": {"use_token": False, "auth": True}}, HAS_SECRET="true")
    assert masks.text("False True true") == "False True true"


def test_json_is_masked_by_its_values_and_stays_json() -> None:
    """A name tells that its value is a secret."""
    masks = Masks(("s3cr3t",))
    content = {"token": "abc", "list": ["s3cr3t", {"s3cr3t": 1}], "number": 5, "none": None}
    assert masks.content(content) == {
        "token": "(not shown)",
        "list": ["(not shown)", {"(not shown)": 1}],
        "number": 5,
        "none": None,
    }


def test_what_a_command_gets_is_hidden(tmp_path: Path) -> None:
    """Its variables, and arguments that their names or the ones before tell; paths and the rest stay."""
    command = {
        "command": ["/bin/x", "--token", "argum3nt", "--db-password=oth3r", "--shop", "basel", "-H", "localhost"],
        "environment": {"ANY": "v4riable", "PAIR": "user:p4ir", "PGHOST": "/run/pg", "H": "localhost"},
    }  # fmt: skip
    masks = masks_of(tmp_path, {"a": {"commands": [command]}})
    hidden = masks.text("argum3nt oth3r v4riable p4ir")
    assert hidden == " ".join(["(not shown)"] * 4)
    assert masks.text("/bin/x basel localhost /run/pg") == "/bin/x basel localhost /run/pg"


def test_a_variable_may_hold_any_setting(tmp_path: Path) -> None:
    """Outputs with headers, for example, as YAML."""
    masks = masks_of(
        tmp_path,
        {},
        PATTOO_AGENT_OUTPUTS="[{kind: remote_write, headers: {X-Scope: h3ader}}]",
        PATTOO_AGENT_API_IP_ADDRESS="db.example.org",
        GIT_AUTHOR_NAME="somebody",
        https_proxy="http://u:pr0xy@proxy.example.org:1",
    )
    assert masks.text("h3ader pr0xy") == "(not shown) (not shown)"
    assert masks.text("db.example.org somebody") == "host-1 somebody"
