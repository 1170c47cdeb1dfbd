"""Builds the documentation: the pages, then their examples run as tests, then the man page.

A warning is an error, and a link that leads nowhere is a warning.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

SOURCE = Path(__file__).resolve().parent.parent / "docs"
BUILDERS = ("html", "doctest", "man")


def main() -> int:
    """Build all; return the exit status of the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", nargs="?", type=Path, default=SOURCE / "_build")
    output = parser.parse_args().output
    for builder in BUILDERS:
        status = build(builder, output)
        if status:
            return status
    print(f"Read {output / 'html' / 'index.html'}")
    return 0


def build(builder: str, output: Path) -> int:
    """What one of Sphinx's builders makes of the pages, below `output`."""
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    # Pages take text from the code, so one that has not changed may still be out of date.
    afresh = ["--fresh-env", "--doctree-dir", str(output / "doctrees")]
    return build_main([*strict, *afresh, "--builder", builder, str(SOURCE), str(output / builder)])


if __name__ == "__main__":
    sys.exit(main())
