"""What encrypted mode needs: GnuPG, the agent's key, and the keys of servers that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp import paths
from pattoo_mp.config import host_checks
from pattoo_mp.doctor.finding import Finding, trouble, well
from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.encrypted.known import FILE, KnownServers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config


def findings(config: Config, agent_id: str) -> Iterator[Finding]:
    """A line for each; the keys are only looked at."""
    missing = host_checks.missing_for_encryption()
    if missing:
        yield trouble("gpg", missing, "install it, or set encrypted to false")
    else:
        yield well("gpg", "is there, and so is python-gnupg")
    keys = paths.keys_directory(config)
    named = [path.name.partition("-")[0] for path in keys.glob(f"*-{agent_id}")]
    yield well("our key", ", ".join(named) or "none yet; it is made before the first post")
    try:
        known = KnownServers(keys / FILE).all()
    except KeyringError as error:
        yield trouble(
            "servers' keys",
            str(error),
            "correct that line, or remove it to believe the next key; the file has to be the agent's user's",
        )
        return
    for url, fingerprint in known.items():
        yield well("server's key", f"{fingerprint}, of {url}")
