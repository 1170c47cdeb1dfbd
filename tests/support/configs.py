"""A configuration object for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pattoo_mp.config.settings import defaults
from pattoo_mp.config.values import FIELDS, Config


def config_in(home: Path, **other: Any) -> Config:  # noqa: ANN401 - whatever a field holds
    """Return a configuration with all directories in `home` and polls every 0.1 s; `other` changes it.

    Nothing listens at its server's address.
    """
    choices: dict[str, Any] = {
        FIELDS.get(n, n): v for n, v in defaults().items() if isinstance(v, (tuple, dict))
    }
    usual = Config(
        **choices,
        top_processes=5,
        log_directory=home,
        cache_directory=home,
        daemon_directory=home,
        system_daemon_directory=home,
        log_level="debug",
        ip_address="127.0.0.1",
        ip_bind_port=9,
        interval_ms=100,
        encrypted=False,
        post_jitter=None,
        spool_max_bytes=10**9,
        spool_max_age=10**6,
        spool_min_free_bytes=0,
        log_format="text",
        log_max_bytes=0,
        log_backups=1,
        textfile_directory=None,
        failover_after=300.0,
        tls_ca_file=None,
        tls_certificate_file=None,
        tls_key_file=None,
        credentials_file=None,
        proxy=None,
        proxy_credentials_file=None,
        hostname=None,
        procfs_path=Path("/proc"),
        sysfs_path=Path("/sys"),
        rootfs_path=Path("/"),
        ip_listen_address="127.0.0.1",
        listen_port=5000,
        targets_directory=None,
        hub_name=None,
    )
    return replace(usual, **other)
