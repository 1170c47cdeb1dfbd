"""Every setting of the declaration, unlike its default: read, handed to the processes, and reloaded.

That it has an effect is tested where it is used; the last test names the places.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from pattoo_mp.config.load import changes, check, check_reload
from pattoo_mp.config.settings import SHARED_FILE, program_files, program_settings
from pattoo_mp.config.values import FIELDS, Config
from pattoo_mp.errors import ConfigError
from tests.collect import test_collector_settings as of_collector
from tests.support.tls import Authority
from tests.upload import test_uploader_settings as of_uploader

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.settings import Setting

USED: Final = {setting.name: setting for setting in program_settings() if setting.is_used}
#: A value unlike the default, as it is written in a file. {home} is a directory of the test.
OTHER: Final[dict[str, object]] = {
    "log_directory": "{home}/other", "cache_directory": "{home}/other",
    "daemon_directory": "{home}/other", "system_daemon_directory": "{home}/other",
    "log_level": "debug", "ip_address": "127.0.0.2", "ip_bind_port": 20202,
    "polling_interval": 0.5, "intervals": {"memory": 0.5}, "encrypted": False, "post_jitter": 1,
    "servers": ["http://127.0.0.1:1"], "failover_after": 1, "tls_ca_file": "{home}/ca.pem",
    "tls_certificate_file": "{home}/ca-1.pem", "tls_key_file": "{home}/ca-1.key",
    "credentials_file": "{home}/secret", "proxy": "http://127.0.0.1:1",
    "proxy_credentials_file": "{home}/secret", "spool_max_bytes": 1_000_000, "spool_max_age": 60,
    "spool_min_free_bytes": 0, "log_format": "json", "log_max_bytes": 0, "log_backups": 1,
    "families": ["uptime"], "families_off": ["memory"], "textfile_directory": "{home}",
    "hostname": "other.example.org", "procfs_path": "/other", "sysfs_path": "/other",
    "rootfs_path": "/other", "mounts_include": ["/"], "mounts_exclude": [],
    "filesystems_include": ["ext4"], "filesystems_exclude": ["ext4"],
    "filesystems_without_device": ["tmpfs"], "disks_include": ["sda"], "disks_exclude": ["sda"],
    "interfaces_include": ["lo"], "interfaces_exclude": ["lo"], "temperatures_include": ["a"],
    "temperatures_exclude": ["a"], "top_processes": 1,
    "commands": [{"name": "other", "command": ["/bin/true"]}],
    "outputs": [{"kind": "pattoo", "name": "other", "servers": ["http://127.0.0.1:1"]}],
}  # fmt: skip
#: What must be set beside it.
BESIDE: Final[dict[str, dict[str, object]]] = {
    "tls_key_file": {"tls_certificate_file": "{home}/ca-1.pem"},
    "tls_certificate_file": {"tls_key_file": "{home}/ca-1.key"},
    "proxy_credentials_file": {"proxy": "http://127.0.0.1:1"},
    "credentials_file": {"servers": ["http://127.0.0.1:1"]},
    "daemon_directory": {"system_daemon_directory": "{home}/run"},
}


def write(home: Path, values: dict[str, object]) -> Path:
    """Write both files with these settings; return their directory."""
    needed: dict[str, object] = {
        name: "{home}/" + name for name in ("log_directory", "cache_directory", "daemon_directory")
    }
    content: dict[str, dict[str, dict[str, object]]] = {file: {} for file in program_files()}
    for name, value in {**needed, **values}.items():
        setting = USED[name]
        content[setting.file].setdefault(setting.section, {})[name] = value
    content[SHARED_FILE].setdefault("pattoo_agent_api", {})
    content[program_files()[-1]].setdefault(program_files()[-1].removesuffix(".yaml"), {})
    for file, sections in content.items():
        (home / file).write_text(json.dumps(sections).replace("{home}", str(home)))
    return home


def without_and_with(home: Path, setting: Setting) -> tuple[Config, Path]:
    """The configuration before the change, and the directory with the files after it."""
    beside = BESIDE.get(setting.name, {})
    before = check(write(home, beside))
    return before, write(home, {**beside, setting.name: OTHER[setting.name]})


@pytest.fixture
def files(home: Path) -> Path:
    """A directory with the files that settings name."""
    Authority(home).files("agent.example.org")
    secret = home / "secret"
    secret.touch(mode=0o600)
    secret.write_text("user:password\n")
    return home


@pytest.mark.parametrize("name", sorted(USED.keys() - {"encrypted"}))
def test_a_setting_reaches_every_process(files: Path, name: str) -> None:
    """It is read from its file, is the only one that has changed, and stays the same in a message."""
    before, directory = without_and_with(files, USED[name])
    after = check(directory)
    assert [setting.name for setting in changes(before, after)] == [name]
    received = Config.of(after.fields())
    assert received == after
    field = FIELDS.get(name, name)
    assert type(getattr(received, field)) is type(getattr(after, field))


@pytest.mark.parametrize("name", sorted(USED.keys() - {"encrypted"}))
def test_a_reload_accepts_a_setting_or_names_it(files: Path, name: str) -> None:
    """It is in force then, or refused with one line that says what a change needs."""
    setting = USED[name]
    running, directory = without_and_with(files, setting)
    if not setting.needs_restart:
        assert check_reload(directory, running) == check(directory)
        return
    with pytest.raises(ConfigError) as refused:
        check_reload(directory, running)
    named = [line for line in refused.value.problems if f": {name}: " in line]
    assert len(named) == 1
    assert named[0].endswith("as in the running agent: a change needs a restart")


@pytest.mark.parametrize(
    "name",
    [
        "tls_ca_file",
        "tls_certificate_file",
        "tls_key_file",
        "credentials_file",
        "proxy_credentials_file",
    ],
)
def test_a_reload_refuses_a_file_that_cannot_be_used(files: Path, name: str) -> None:
    """As a start does, and with the same line."""
    running, _ = without_and_with(files, USED[name])
    directory = write(files, {**BESIDE.get(name, {}), name: "{home}/nothing"})
    with pytest.raises(ConfigError) as refused:
        check_reload(directory, running)
    assert any(f": {name}: '{files}/nothing'" in line for line in refused.value.problems)


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, False), ({"servers": ["https://127.0.0.1"]}, True),
        ({"servers": ["http://127.0.0.1", "https://127.0.0.1"]}, True),
        ({"proxy": "https://127.0.0.1:1"}, True), ({"proxy": "http://127.0.0.1:1"}, False),
        ({"proxy": "direct"}, False),
    ],
)  # fmt: skip
def test_tls_is_loaded_for_any_server_and_for_the_proxy(
    home: Path, settings: dict[str, object], *, needs: bool
) -> None:
    """The uploader loads it only then. Without it no https URL can be reached."""
    assert check(write(home, settings)).needs_tls == needs


def test_every_setting_has_another_value_here() -> None:
    """A new setting must be added to the tables of this test and to one of those below."""
    assert set(OTHER) == set(USED)
    reloadable = {name for name, setting in USED.items() if not setting.needs_restart}
    # tests/integration/test_log_settings.py has the log's, and test_outputs.py those of the outputs.
    logs = {"log_level", "log_format", "log_max_bytes", "log_backups"}
    collector = {"polling_interval" if n == "interval_ms" else n for n in of_collector.CASES}
    assert reloadable == collector | set(of_uploader.CASES) | logs | {"outputs"}
