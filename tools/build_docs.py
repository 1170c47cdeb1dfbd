"""Build the documentation: the pages, then their examples run as tests.

A warning is an error, and a broken link is a warning.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

SOURCE = Path(__file__).resolve().parent.parent / "docs"
BUILDERS = ("html", "doctest")


def main() -> int:
    """Run all builders. Return the exit status of the first that fails."""
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
    """Run one of Sphinx's builders, with output below `output`. Return its exit status."""
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    # Pages take text from the code, so even an unchanged page may be out of date.
    fresh = ["--fresh-env", "--doctree-dir", str(output / "doctrees")]
    return build_main([*strict, *fresh, "--builder", builder, str(SOURCE), str(output / builder)])


if __name__ == "__main__":
    sys.exit(main())
