"""Write the shipped files that the code declares: configuration, translations, Prometheus names, man page."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pattoo_mp.collect.translations import translations
from pattoo_mp.config import sample
from pattoo_mp.config.settings import FILES
from pattoo_mp.model import PROGRAM
from pattoo_mp.wire.families import FILE as FAMILIES_FILE
from tools import build_docs, figures, manual, prometheus_names
from tools.families import families

CONF = Path(__file__).resolve().parent.parent / "conf"


def main() -> int:
    """Write them. Return the exit status."""
    for name in FILES:
        (CONF / name).write_text(sample.one_file(name), encoding="utf-8")
    (CONF / f"{PROGRAM}.translations.csv").write_text(translations(), encoding="utf-8")
    prometheus_names.SHIPPED.write_text(prometheus_names.names_file(), encoding="utf-8")
    figures.SHIPPED.write_text(figures.figures(), encoding="utf-8")
    FAMILIES_FILE.write_text(families(), encoding="utf-8")
    with TemporaryDirectory() as directory:
        status = build_docs.build("man", Path(directory))
        if not status:
            manual.SHIPPED.write_bytes((Path(directory) / "man" / manual.NAME).read_bytes())
    return status


if __name__ == "__main__":
    sys.exit(main())
