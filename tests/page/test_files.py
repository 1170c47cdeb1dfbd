"""The files of the page: complete, served with their policy, and in agreement with the agent's tables."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from pattoo_mp.receiver.page import FILES, POLICY
from tests.receiver.process import Receiver
from tools import figures

PLACE = Path(str(files("pattoo_mp.receiver.page")))
MODULES = sorted(PLACE.glob("*.js"))


def test_names_and_units_are_those_of_the_tables() -> None:
    """`make samples` writes them."""
    assert figures.SHIPPED.read_text(encoding="utf-8") == figures.figures()


def test_all_files_are_served_and_no_others() -> None:
    """One that is forgotten would be missing only in an installed receiver."""
    there = {
        str(path.relative_to(PLACE))
        for path in PLACE.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert there == set(FILES)


def test_no_module_makes_markup_or_asks_another_host() -> None:
    """The policy would stop it; here it is seen before."""
    text = "\n".join(module.read_text() for module in MODULES)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in text, word
    assert re.findall(r"https?://(?!www\.w3\.org)", text) == []
    assert not re.search(r"<[a-z]+[^>]* (style|on[a-z]+)=", (PLACE / "index.html").read_text())


def test_every_answer_has_the_policy(tmp_path: Path) -> None:
    """Also refusals, and the queries; the page's files are asked for again only if they changed."""
    receiver = Receiver(tmp_path)
    try:
        receiver.path = ""
        for path, status in (("/", 200), ("/page/main.js", 200), ("/page/../app.py", 404), ("/none", 404),
                             ("/api/v1/agents", 200)):  # fmt: skip
            answer = receiver.ask("GET", path)
            assert answer.status == status, path
            assert answer.headers["Content-Security-Policy"] == POLICY
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        tag = receiver.ask("GET", "/page/main.js").headers["Etag"]
        assert receiver.ask("GET", "/page/main.js", headers={"If-None-Match": tag}).status == 304
    finally:
        receiver.end()
