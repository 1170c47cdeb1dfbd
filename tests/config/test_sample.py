"""The sample configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pattoo_mp.config import load, sample
from pattoo_mp.config.settings import FILES, SETTINGS
from pattoo_mp.config.values import Config

ROOT = Path(__file__).resolve().parents[2]


def checked(directory: Path, texts: dict[str, str]) -> Config:
    """What files of these texts configure."""
    for name, text in texts.items():
        (directory / name).write_text(text)
    return load.check(directory)


@pytest.mark.parametrize("name", FILES)
def test_what_ships_is_what_is_declared(name: str) -> None:
    """conf/ holds the sample of this release; `make samples` writes it."""
    assert (ROOT / "conf" / name).read_text() == sample.one_file(name)


def test_the_sample_is_accepted_as_it_is(tmp_path: Path) -> None:
    """Directories where a system keeps such things, and defaults for all else."""
    found = checked(tmp_path, {name: sample.one_file(name) for name in FILES})
    assert str(found.log_directory) == "/var/log/pattoo"
    assert found.interval_ms == 300_000


def test_what_is_commented_out_is_accepted_too(tmp_path: Path) -> None:
    """Without its # each line is the default, or the example where there is none."""
    texts = {name: re.sub(r"(?m)^( *)#(?! )", r"\1", sample.one_file(name)) for name in FILES}
    named = {
        key for text in texts.values() for part in yaml.safe_load(text).values() for key in part
    }
    assert named == {setting.name for setting in SETTINGS}
    found = checked(tmp_path, texts)
    plain = checked(tmp_path, {name: sample.one_file(name) for name in FILES})
    different = {n for n in Config.__slots__ if getattr(found, n) != getattr(plain, n)}
    assert different == {
        "system_daemon_directory", "post_jitter", "textfile_directory",
        "servers", "tls_ca_file", "tls_certificate_file", "tls_key_file",
        "credentials_file", "proxy", "proxy_credentials_file",
        "hostname",
    }  # fmt: skip


def test_all_files_together_come_apart_at_their_names(tmp_path: Path) -> None:
    """Each below a line with its name; what is between is the file."""
    _, *parts = re.split(r"(?m)^# -{10} (\S+) -{10}\n", sample.every_file())
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    assert tuple(texts) == FILES
    assert {name: text.rstrip() for name, text in texts.items()} == {
        name: sample.one_file(name).rstrip() for name in FILES
    }
    checked(tmp_path, texts)
