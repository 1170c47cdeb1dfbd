"""The documentation agrees with the code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli.verbs import OPTIONS, program_verbs
from pattoo_mp.collect.schedule import Reason
from pattoo_mp.control import broker, ledger
from pattoo_mp.control.troubles import Code
from pattoo_mp.spool import limits, store
from pattoo_mp.spool.limits import QUARANTINE_FULL
from tests.benchmarks.noise import TOO_NOISY
from tests.support.spools import limits_with

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
#: Methods that log messages which may need action; `log` has the level as an argument.
LOG_METHODS = {"log", "warning", "error", "critical", "exception"}
#: Where extras of this package are named.
_NAMING_EXTRAS = ("pyproject.toml", "Makefile", "*.md", "docs/**/*.md", "pattoo_mp/**/*.py")


@pytest.mark.parametrize(("page", "at_least"), [("faults.md", 50), ("security.md", 40)])
def test_each_test_named_in_the_tables_exists(page: str, at_least: int) -> None:
    """A test that is renamed or removed must be renamed or removed there, too."""
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", (ROOT / "docs" / page).read_text())
    assert len(named) > at_least
    missing = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []


def test_each_extra_that_is_named_exists() -> None:
    """Of one that does not exist pip only warns, and it installs nothing for it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    texts = [page.read_text() for pattern in _NAMING_EXTRAS for page in ROOT.glob(pattern)]
    named = set(re.findall(r"\bextra `([\w-]+)`", "\n".join(texts)))
    for found in re.findall(r"(?:pattoo_mp|\.)\[([a-z_,-]+)\]", "\n".join(texts)):
        named.update(found.split(","))
    assert {"dev", "encrypted", "receiver", "remote-write", "textfile"} <= named
    assert named - set(extras) == set()


def test_relative_links_between_documents_work() -> None:
    """In every Markdown file."""
    broken = [
        f"{page.name}: {link}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_comparison_has_the_figures_of_the_benchmarks() -> None:
    """`make bench` writes one page; the other repeats its results."""
    benchmarks, comparison = (
        (ROOT / "docs" / page).read_text() for page in ("benchmarks.md", "comparison.md")
    )
    section = benchmarks.partition("\n## Compared with other agents\n")[2]
    first = re.search(r"(^\|.*\n)+", section, re.MULTILINE)
    assert first
    head, _, *rows = (row.strip("|").split("|") for row in first[0].splitlines())
    found = [
        {name.strip(): cell.strip() for name, cell in zip(head[1:], row[1:], strict=True)}
        | {"name": row[0].strip()}
        for row in rows
    ]
    named = {"pattoo_mp", "collectd", "node_exporter"}
    repeated = [row for row in found if row["name"] in named]
    assert "pattoo_mp" in {row["name"] for row in repeated}
    for row in repeated:
        assert f"{row['memory, MB']} MB" in comparison, row["name"]
        costs = f"{row['processor, ms per poll']} ms; {row['processor, µs per datapoint']} µs"
        assert costs in comparison or TOO_NOISY in costs, row["name"]


def test_commands_shown_on_pages_exist() -> None:
    """Verbs and options of the agent, and targets of make. History and decisions may name others."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    text = "\n".join(page.read_text() for page in pages if page.name != "changelog.md")
    agents = re.findall(r"pattoo_agent_os_autonomousd(?:\.py)?((?: --[a-z-]+)+)", text)
    declared = (
        {v.name for v in program_verbs()} | {o.name for o in OPTIONS} | {"--help", "--version"}
    )
    assert {word for words in agents for word in words.split()} - declared == set()
    makes = re.findall(r"(?:`|\$ )make((?: [a-z-]+)+)", text)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for words in makes for word in words.split()} - set(targets) == set()
    assert len(agents) > 30
    assert len(makes) > 5


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `make docs`, which fails on a warning, a broken link, or a wrong example."""
    output = tmp_path_factory.mktemp("built")
    done = subprocess.run(
        [sys.executable, "-m", "tools.build_docs", output],
        capture_output=True, text=True, timeout=100, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_the_pages_load_nothing_from_other_hosts(built: Path) -> None:
    """No font, script or image, so that they can be read without a network."""
    pages = list((built / "html").glob("**/*.html"))
    assert len(pages) > 20
    fetched = r'(?:src="|<link[^>]* href="|url\()(?:https?:)?//[^")]*'
    assert {found for page in pages for found in re.findall(fetched, page.read_text())} == set()


def test_each_message_of_the_log_is_explained() -> None:
    """Every warning and error of the agent is on the page of operations."""
    page = (ROOT / "docs" / "operations.md").read_text()
    modules = [path for path in ROOT.glob("pattoo_mp/**/*.py") if "receiver" not in path.parts]
    messages = {text for path in modules for text in log_messages(path)}
    assert len(messages) > 30
    assert [message for message in sorted(messages) if f"`{message}`" not in page] == []


def test_the_decisions_are_numbered_without_gaps() -> None:
    """In the names of their files and in their headings."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(page.name.split("-")[0]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    headings = [int(page.read_text().removeprefix("# ").split(".")[0]) for page in pages]
    assert headings == numbers


def test_each_package_has_a_row_in_the_architecture() -> None:
    """A package that is added or removed must be added or removed there, too."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in ROOT.glob("pattoo_mp/*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == packages


def test_each_line_of_the_status_is_explained() -> None:
    """Every label of --status is on its page."""
    page = (ROOT / "docs" / "status.md").read_text()
    rows = (ROOT / "pattoo_mp" / "cli" / "status_rows.py").read_text()
    labels = set(re.findall(r'Row\(\s*"([^"]+)"', rows))
    assert len(labels) > 10
    assert [label for label in sorted(labels) if f"`{label}`" not in page] == []


def test_each_trouble_is_explained() -> None:
    """By its code, in the order of the status: on the page and in the schema."""
    codes = [code.value for code in Code]
    page = (ROOT / "docs" / "status.md").read_text()
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == codes
    schema = json.loads((ROOT / "pattoo_mp" / "control" / "status.schema.json").read_text())
    described = schema["$defs"]["trouble"]["properties"]["code"]["description"]
    assert re.findall(r"\b([a-z]+_?[a-z_]*): ", described) == codes


def test_each_reason_of_a_gap_and_of_a_drop_is_explained() -> None:
    """In the words of the status and the log."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    full = limits_with(max_bytes=1).size_limit(0, ROOT).reason
    nearly_full = limits_with(min_free_bytes=2**62).size_limit(2**40, ROOT).reason
    missed = {*Reason, ledger.AGENT_WAS_DOWN, broker._COLLECTOR_WAS_DOWN}
    dropped = {
        ledger.CHANNEL_FULL,
        store._OLDER,
        limits._TOO_OLD,
        full,
        nearly_full,
        QUARANTINE_FULL,
    }
    assert [reason for reason in sorted(missed | dropped) if f"| `{reason}` |" not in page] == []


def log_messages(path: Path) -> Iterator[str]:
    """Yield the messages of a module from level warning on, with `…` for each argument."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Attribute(ast.Name("_LOG"), level), args) if level in LOG_METHODS:
                template: str = ast.literal_eval(args[1] if level == "log" else args[0])
                text = re.sub(r"%[.\d]*[a-z]", "…", template)
                if text != "…":  # only the text of an error
                    yield text
