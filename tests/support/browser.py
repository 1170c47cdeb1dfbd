"""Debian's Chromium, driven headless by Playwright, and pages that may log no error."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import sync_playwright

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

#: Without them nothing can be drawn as on a usual screen; a sandbox needs rights that a container lacks.
_OPTIONS: Final = ("--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb")
TIME_LIMIT_MS: Final = 30_000


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a browser, which leaves no process and no file. Skip the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Debian's chromium")
    with tempfile.TemporaryDirectory(prefix="pmp-browser-", ignore_cleanup_errors=True) as place:
        environment: dict[str, str | float | bool] = {**os.environ, "HOME": place, "TMPDIR": place}
        with ExitStack() as running:
            with _files_in(place):
                driver = running.enter_context(sync_playwright())
            browser = driver.chromium.launch(
                executable_path=program, args=list(_OPTIONS), env=environment
            )
            running.callback(browser.close)
            yield browser


@contextmanager
def _files_in(place: str) -> Iterator[None]:
    """Let what is started meanwhile, here the driver, have its temporary files in `place`."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = place
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@contextmanager
def open_page(browser: Browser, url: str, *, away: bool = False, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - the driver's options
    """Open a page. Afterwards nothing may be wrong in its console.

    `away`: requests fail meanwhile as they should, for the receiver is away or wants a login. The browser itself logs these.
    """
    wrong: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1000, "height": 700}, **options})
    try:
        page = context.new_page()
        page.set_default_timeout(TIME_LIMIT_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: (
                wrong.append(said.text)
                if said.type in {"error", "warning"}
                and not (away and said.text.startswith("Failed to load resource"))
                else None
            ),
        )
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        page.goto(url)
        yield page
    finally:
        context.close()
    assert wrong == []


def until(page: Page, expression: str, *, arg: object = None) -> None:
    """Wait until a JavaScript expression, or a function of `arg`, is true in the page.

    Playwright's own way to wait evaluates text within the page, which the page's policy forbids.
    """
    wait_for(lambda: _is_true(page, expression, arg), TIME_LIMIT_MS / 1000, what=expression)


def _is_true(page: Page, expression: str, arg: object) -> bool:
    if page.evaluate(expression, arg):
        return True
    page.wait_for_timeout(50)
    return False
