"""The environment of an agent that is started in the background."""

from __future__ import annotations

from pattoo_mp.operate.lifecycle import unsupervised_environment


def test_it_has_no_variables_of_supervisord_or_systemd() -> None:
    """With supervisord's it would think itself supervised; with systemd's, report in our name."""
    inherited = {
        "SUPERVISOR_ENABLED": "1", "SUPERVISOR_SERVER_URL": "unix:///run/x", "NOTIFY_SOCKET": "@x",
        "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2",
    }  # fmt: skip
    assert unsupervised_environment({"PATH": "/bin", **inherited}) == {"PATH": "/bin"}
