"""The documentation says what is so."""

from __future__ import annotations

import re
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
