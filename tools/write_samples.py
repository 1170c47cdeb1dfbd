"""Writes the files in `conf/` that the code declares: the configuration, and the translations."""

from __future__ import annotations

from pathlib import Path

from pattoo_mp import sample
from pattoo_mp.model import PROGRAM
from pattoo_mp.settings import FILES
from pattoo_mp.translations import translations

CONF = Path(__file__).resolve().parent.parent / "conf"


def main() -> None:
    """Write them."""
    for name in FILES:
        (CONF / name).write_text(sample.one_file(name), encoding="utf-8")
    (CONF / f"{PROGRAM}.translations.csv").write_text(translations(), encoding="utf-8")


if __name__ == "__main__":
    main()
