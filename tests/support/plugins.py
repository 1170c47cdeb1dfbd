"""Programs of tests for the setting `commands`, and the commands that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config.values import PROMETHEUS, Command

if TYPE_CHECKING:
    from pathlib import Path


def plugin(home: Path, name: str, script: str, *, interpreter: str = "/bin/sh") -> Path:
    """Write a program that only its owner may write to."""
    home.chmod(0o755)
    path = home / name
    aside = home / f"{name}.new"
    aside.write_text(f"#!{interpreter}\n{script}\n")
    aside.chmod(0o755)
    aside.replace(path)
    return path


def command_of(
    path: Path | str,
    *words: str,
    name: str = "",
    interval_s: float = 60.0,
    timeout_s: float = 20.0,
    form: str = PROMETHEUS,
    **environment: str,
) -> Command:
    """Return a command that runs a program. It is named like it."""
    name = name or str(path).rpartition("/")[2]
    return Command(
        name, (str(path), *words), interval_s, timeout_s, form, tuple(environment.items())
    )
