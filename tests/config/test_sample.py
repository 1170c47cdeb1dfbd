"""The sample configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pattoo_mp.config import load, sample
from pattoo_mp.config.settings import program_files, program_settings
from pattoo_mp.config.values import Config

ROOT = Path(__file__).resolve().parents[2]


def checked(directory: Path, texts: dict[str, str]) -> Config:
    """The configuration in files with these texts."""
    for name, text in texts.items():
        (directory / name).write_text(text)
    return load.check(directory)


@pytest.mark.parametrize("name", program_files())
def test_the_shipped_files_match_the_declarations(name: str) -> None:
    """`make samples` writes conf/."""
    assert (ROOT / "conf" / name).read_text() == sample.one_file(name)


def test_the_sample_is_valid_as_it_is(tmp_path: Path) -> None:
    """With the usual directories of a system, and defaults for all else."""
    found = checked(tmp_path, {name: sample.one_file(name) for name in program_files()})
    assert str(found.log_directory) == "/var/log/pattoo"
    assert found.interval_ms == 300_000


def test_the_sample_is_valid_with_all_settings_uncommented(tmp_path: Path) -> None:
    """Each line is then the default, or the example if there is none."""
    texts = {
        name: re.sub(r"(?m)^( *)#(?! )", r"\1", sample.one_file(name)) for name in program_files()
    }
    named = {
        key for text in texts.values() for part in yaml.safe_load(text).values() for key in part
    }
    assert named == {setting.name for setting in program_settings()}
    found = checked(tmp_path, texts)
    plain = checked(tmp_path, {name: sample.one_file(name) for name in program_files()})
    different = {n for n in Config.__slots__ if getattr(found, n) != getattr(plain, n)}
    assert different == {
        "system_daemon_directory", "post_jitter", "textfile_directory", "commands",
        "servers", "given_outputs", "tls_ca_file", "tls_certificate_file", "tls_key_file",
        "credentials_file", "proxy", "proxy_credentials_file",
        "hostname",
    }  # fmt: skip


def test_the_output_for_all_files_can_be_split_at_their_names(tmp_path: Path) -> None:
    """Each file follows a line with its name."""
    _, *parts = re.split(r"(?m)^# -{10} (\S+) -{10}\n", sample.every_file())
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    assert tuple(texts) == program_files()
    assert {name: text.rstrip() for name, text in texts.items()} == {
        name: sample.one_file(name).rstrip() for name in program_files()
    }
    checked(tmp_path, texts)
