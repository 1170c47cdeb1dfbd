"""The environment of a process that is started in the background."""

from __future__ import annotations

from pattoo_mp.operate.lifecycle import without_managers


def test_it_is_nobodys_but_ours() -> None:
    """With that of supervisord it would think itself supervised; with systemd's, speak for us."""
    inherited = {
        "SUPERVISOR_ENABLED": "1", "SUPERVISOR_SERVER_URL": "unix:///run/x", "NOTIFY_SOCKET": "@x",
        "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2",
    }  # fmt: skip
    assert without_managers({"PATH": "/bin", **inherited}) == {"PATH": "/bin"}
