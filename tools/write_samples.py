"""Writes the configuration files in `conf/` from the declarations of the settings."""

from __future__ import annotations

from pathlib import Path

from pattoo_mp import sample
from pattoo_mp.settings import FILES

CONF = Path(__file__).resolve().parent.parent / "conf"


def main() -> None:
    """Write them."""
    for name in FILES:
        (CONF / name).write_text(sample.one_file(name), encoding="utf-8")


if __name__ == "__main__":
    main()
