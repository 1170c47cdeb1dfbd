"""The documentation says what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_each_test_that_the_table_of_faults_names_is_there() -> None:
    """A test that is renamed or removed is renamed or removed there too."""
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", (ROOT / "docs" / "faults.md").read_text())
    assert len(named) > 50
    missing = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of a Markdown file."""
    broken = [
        f"{page.name}: {link}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    """As `make docs` does it: a link to nowhere, or an example that is wrong, ends it."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.build_docs", tmp_path],
        capture_output=True, text=True, timeout=100, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "faults.html").exists()
