"""The targets of a hub: the setting ip_targets, and the files of targets_directory."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import load
from pattoo_mp.config.targets import MAX_TARGETS, check, shown
from pattoo_mp.config.values import Config, Target
from pattoo_mp.errors import ConfigError
from pattoo_mp.program import HUB, acting_as

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def etc(home: Path) -> Iterator[Path]:
    """A directory with the configuration of a hub that has no targets yet."""
    directory = home / "etc"
    directory.mkdir()
    (home / "targets").mkdir()
    shared = "".join(f"  {name}_directory: {home}/{name}\n" for name in ("log", "cache", "daemon"))
    (directory / "pattoo.yaml").write_text(f"pattoo:\n{shared}")
    write(directory, [])
    with acting_as(HUB):
        yield directory


def write(etc: Path, targets: object, more: str = "") -> None:
    """Write the hub's own file."""
    text = f"pattoo_agent_os_hubd:\n  ip_targets: {json.dumps(targets)}\n{more}"
    (etc / "pattoo_agent_os_hubd.yaml").write_text(text)


def problems(etc: Path) -> list[str]:
    """Return the lines of a configuration that is refused, from the name of the setting on."""
    with pytest.raises(ConfigError) as caught:
        load.check(etc)
    return [line.partition("hubd: ")[2] or line for line in caught.value.problems]


def test_the_two_keys_of_the_original_are_enough(etc: Path) -> None:
    """The name is the address with the port; the interval is that of the hub, 300 s by default."""
    write(
        etc,
        [
            {"ip_address": "10.0.0.1", "ip_bind_port": 5000},
            {"ip_address": "::1", "ip_bind_port": 5001},
        ],
    )
    config = load.check(etc)
    assert [target.name for target in config.targets] == ["10.0.0.1:5000", "[::1]:5001"]
    assert [target.interval_ms for target in config.targets] == [0, 0]
    assert list(config.groups) == [300_000]


def test_every_key_of_a_target_reaches_the_processes(etc: Path) -> None:
    """Also by way of a message."""
    write(
        etc,
        [
            {
                "name": "db1", "ip_address": "db1.example.org", "ip_bind_port": 5000, "polling_interval": 10,
                "token_file": "/etc/t", "tls_ca_file": "/etc/ca", "tls_certificate_file": "/etc/c",
                "tls_key_file": "/etc/k",
            }
        ],
        "  hub_name: basel\n",
    )  # fmt: skip
    config = load.check(etc)
    (target,) = config.targets
    assert (target.name, target.interval_ms, target.tls) == ("db1", 10_000, True)
    assert list(
        map(
            str,
            (
                target.trust.credentials_file,
                target.trust.ca_file,
                target.trust.certificate_file,
                target.trust.key_file,
            ),
        )
    ) == ["/etc/t", "/etc/ca", "/etc/c", "/etc/k"]
    assert config.hub_name == "basel"
    assert Config.of(config.fields()) == config


def test_all_errors_come_at_once_with_a_line_each(etc: Path) -> None:
    """Each names the entry and the key, and what was expected."""
    write(
        etc,
        [
            {"ip_address": "300.1.1.1", "ip_bind_port": 0},
            {"ip_adress": "a", "ip_bind_port": 5000},
            5,
            {"name": "x", "ip_address": "b", "ip_bind_port": 1, "polling_interval": 0.5, "token_file": "secret"},
        ],
    )  # fmt: skip
    found = problems(etc)
    assert [line.partition(";")[0] for line in found] == [
        "ip_targets: entry 1: ip_address: '300.1.1.1'",
        "ip_targets: entry 1: ip_bind_port: 0",
        "ip_targets: entry 2: ip_adress: unknown key",
        "ip_targets: entry 2: ip_address: is not set",
        "ip_targets: entry 3: 5",
        "ip_targets: x: polling_interval: 0.5",
        "ip_targets: x: token_file: '(not shown)'",
    ]
    assert all("expected " in line for line in found)
    assert "secret" not in "".join(found)


def test_target_files_add_their_targets(etc: Path, home: Path) -> None:
    """YAML and JSON; other files and those that are being written are left alone."""
    targets = home / "targets"
    (targets / "a.yaml").write_text(
        "- {ip_address: a, ip_bind_port: 1}\n- {ip_address: b, ip_bind_port: 2}\n"
    )
    (targets / "b.json").write_text('[{"ip_address": "c", "ip_bind_port": 3}]')
    (targets / ".c.yaml").write_text("half a")
    (targets / "README").write_text("not for us")
    write(etc, [{"ip_address": "d", "ip_bind_port": 4}], f"  targets_directory: {targets}\n")
    assert [target.name for target in load.check(etc).targets] == ["d:4", "a:1", "b:2", "c:3"]


def test_errors_in_target_files_name_the_file(etc: Path, home: Path) -> None:
    """All of them come at once, as do targets that are there twice."""
    targets = home / "targets"
    (targets / "a.yaml").write_text("- {ip_address: a, ip_bind_port: x}\n")
    (targets / "b.json").write_text("[{")
    (targets / "c.yml").write_text("a: 5\n")
    (targets / "d.json").write_text('[{"ip_address": "d", "ip_bind_port": 4}]')
    write(etc, [{"ip_address": "d", "ip_bind_port": 4}], f"  targets_directory: {targets}\n")
    found = problems(etc)
    assert [line.removeprefix(f"{targets}/").partition(":")[0] for line in found] == [
        "a.yaml",
        "b.json",
        "c.yml",
        str(targets),
    ]
    assert "each spoke once" in found[-1]


def test_a_missing_directory_of_targets_is_a_problem(etc: Path, home: Path) -> None:
    """Otherwise a typo would mean a hub that asks nobody."""
    write(etc, [], f"  targets_directory: {home}/nowhere\n")
    assert problems(etc) == [
        f"{home}/nowhere: No such file or directory; expected a directory with files of targets"
    ]


def test_ten_thousand_targets_are_read_from_json(etc: Path, home: Path) -> None:
    """In YAML they would be too much for a file."""
    entries = [
        {"ip_address": f"10.1.{n // 250}.{n % 250}", "ip_bind_port": 5000} for n in range(10_000)
    ]
    (home / "targets" / "all.json").write_text(json.dumps(entries))
    write(etc, [], f"  targets_directory: {home}/targets\n")
    assert len(load.check(etc).targets) == 10_000


def test_families_and_filters_are_no_settings_of_a_hub(etc: Path) -> None:
    """A hub polls no host."""
    write(etc, [], "  families: [entropy]\n")
    assert problems(etc)[0].startswith("families: unknown setting")


def test_too_many_targets_are_refused() -> None:
    """There is one line for it."""
    with pytest.raises(ValueError, match=str(MAX_TARGETS)):
        check([{"ip_address": "a", "ip_bind_port": 1}] * (MAX_TARGETS + 1))


def test_nothing_that_may_be_a_secret_is_shown() -> None:
    """A token may be in the place of its file."""
    assert shown([{"token_file": "abc", "ip_address": "a", "tokenfile": "x"}]) == [
        {"token_file": "(not shown)", "ip_address": "a", "tokenfile": "(not shown)"}
    ]


def test_a_target_survives_a_message() -> None:
    """One without files has none afterwards."""
    (target,) = check([{"ip_address": "a", "ip_bind_port": 1}])
    assert Target.of(target.sent()) == target


def test_a_token_that_others_can_read_is_a_problem(etc: Path, home: Path) -> None:
    """It is found before a start, as are files of targets that others may write to."""
    token = home / "token"
    token.write_text("abc\n")
    token.chmod(0o644)
    (home / "targets" / "a.yaml").write_text("[]")
    (home / "targets" / "a.yaml").chmod(0o666)
    target = {"ip_address": "a", "ip_bind_port": 1, "token_file": str(token)}
    write(etc, [target], f"  targets_directory: {home}/targets\n")
    config = load.check(etc)
    (problem,) = load.transport_file_problems(etc, config)
    assert f"ip_targets: a:1: token_file: '{token}' is accessible to other users" in problem
    found = load.trust_problems(etc, config, os.geteuid())
    assert any("targets_directory: " in line and "a.yaml" in line for line in found)
