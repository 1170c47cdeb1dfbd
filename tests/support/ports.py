"""Ports for programs that must be told one, and the URLs of programs that have one."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def at(port: int) -> str:
    """The URL of a server at this port of ours."""
    return f"http://127.0.0.1:{port}"
