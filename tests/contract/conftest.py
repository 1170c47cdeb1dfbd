"""A home for the original library, which reads its configuration to log and to know its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def original_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories and a configuration for it. Returns its log file."""
    for name in ("log", "cache", "daemon"):
        (tmp_path / name).mkdir()
    (tmp_path / "pattoo.yaml").write_text(
        "pattoo:\n"
        f"  log_directory: {tmp_path}/log\n"
        f"  cache_directory: {tmp_path}/cache\n"
        f"  daemon_directory: {tmp_path}/daemon\n"
    )
    (tmp_path / "pattoo_agent.yaml").write_text(
        "pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: 20201\n"
    )
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(tmp_path))
    return tmp_path / "log" / "pattoo.log"
