"""The page in a real browser, with the real receiver and agents."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.page.conftest import Site
from tests.receiver.posts import body, point
from tests.receiver.process import command
from tests.support.browser import open_page, until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PROCESSOR = '[data-chart="processor"]'
#: The interval where a test says that no poll is missing: a busy host misses some of ten a second.
SLOW_S = 0.5
LOAD = "[data-chart=load]"
#: Where the crosshair is in each chart.
PLACES = """[...document.querySelectorAll('.chart .u-cursor-x')].map(
    line => Math.round(new DOMMatrix(getComputedStyle(line).transform).e))"""
_PIXELS = """
    const canvas = document.querySelector(selector + ' canvas');
    if (!canvas) return 0;
    // A copy: the browser warns of canvases that are drawn on and often read.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
"""
#: What a chart has drawn, as a number that changes with it.
DRAWN = (
    f"selector => {{ {_PIXELS}"
    " return data.reduce((sum, value, at) => (sum * 31 + value * (at % 97)) % 1000000007, 7); }"
)
_STRONG = """
    const strong = (from, to) => {
        let found = 0;
        for (let at = 0; at < data.length; at += 4) {
            const x = (at / 4) % canvas.width / canvas.width;
            const [r, g, b] = [data[at], data[at + 1], data[at + 2]];
            if (x >= from && x < to && data[at + 3] > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60) found += 1;
        }
        return found;
    };
"""
#: Whether a chart has lines: pixels in a strong colour.
HAS_LINES = f"selector => {{ {_PIXELS} {_STRONG} return strong(0, 1) > 50; }}"
#: In the middle of its time; the scale takes some of the left.
HAS_LINES_IN_THE_MIDDLE = f"selector => {{ {_PIXELS} {_STRONG} return strong(0.56, 0.6) > 0; }}"


def wait_for_lines(page: Page, selector: str = PROCESSOR) -> None:
    """Wait until a chart has lines."""
    page.wait_for_selector(f"{selector} canvas")
    until(page, HAS_LINES, arg=selector)


def address(page: Page) -> str:
    """What is in the address after the #."""
    return page.url.partition("#")[2]


def wait_for_event(page: Page, words: str) -> None:
    """Wait until the page says this of the time that is shown."""
    until(page, "words => document.querySelector('.events').textContent.includes(words)", arg=words)


def events(page: Page) -> str:
    """What was wrong in the time that is shown."""
    return page.inner_text(".events") if page.locator(".events li").count() else ""


def test_charts_move_as_polls_arrive(shared: Site, browser: Browser) -> None:
    """The values beside the lines, and the lines; between two polls the time moves on."""
    with open_page(browser, f"{shared.url}#span=60000") as page:
        wait_for_lines(page)
        first = page.evaluate(DRAWN, PROCESSOR)
        until(page, f"before => ({DRAWN})('{PROCESSOR}') !== before", arg=first)
        value = f"{PROCESSOR} output"
        until(
            page,
            "selector => document.querySelector(selector).textContent.endsWith('%')",
            arg=value,
        )
        before = page.inner_text(value)
        until(
            page,
            "([selector, before]) => document.querySelector(selector).textContent !== before",
            arg=[value, before],
        )
        for title in ("Load", "Memory", "Disk space", "Pressure", "Processes"):
            assert page.locator(".chart h3", has_text=re.compile(f"^{title}$")).count() == 1, title
        assert "every 100 ms" in page.inner_text(".head")


def test_a_receiver_without_agents_says_what_to_do_until_one_comes(
    site: Site, browser: Browser
) -> None:
    """The lines for the configuration name its own address and port."""
    with open_page(browser, site.url) as page:
        page.wait_for_selector(".empty pre")
        assert f"ip_bind_port: {site.receiver.port}" in page.inner_text(".empty")
        site.agent("alpha")
        wait_for_lines(page)


def test_a_range_is_chosen_and_kept_in_the_address(shared: Site, browser: Browser) -> None:
    """It is the same after a reload; a range that is wider says how wide a point is."""
    with open_page(browser, shared.url) as page:
        wait_for_lines(page)
        page.select_option("#span", "86400000")
        until(page, "location.hash.includes('span=86400000')")
        until(
            page, f"document.querySelector('{PROCESSOR} .note').textContent.includes('a point is')"
        )
        page.reload()
        page.wait_for_selector(f"{PROCESSOR} canvas")
        assert page.input_value("#span") == "86400000"
        page.go_back()
        until(page, "document.querySelector('#span').value === '300000'")


def test_dragging_zooms_and_live_goes_on_from_there(shared: Site, browser: Browser) -> None:
    """What is zoomed stands still, with its start and end in the address."""
    with open_page(browser, f"{shared.url}#span=20000") as page:
        wait_for_lines(page)
        box = page.locator(f"{PROCESSOR} .u-over").bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.7, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, middle, steps=4)
        page.mouse.up()
        until(page, "/to=\\d+/.test(location.hash)")
        span = re.search(r"span=(\d+)", address(page))
        assert span is not None
        assert 5_000 < int(span[1]) < 7_000
        assert page.inner_text("#pause") == "Live"
        wait_for_lines(page)
        page.mouse.move(5, 5)
        still = page.evaluate(DRAWN, LOAD)
        page.click("#pause")
        until(page, "!/to=/.test(location.hash)")
        until(page, f"before => ({DRAWN})('{LOAD}') !== before", arg=still)


def test_pause_stops_and_the_crosshair_is_on_all_charts(shared: Site, browser: Browser) -> None:
    """Values are those at the crosshair; its moment is at the bottom."""
    with open_page(browser, f"{shared.url}#span=60000") as page:
        wait_for_lines(page)
        wait_for_lines(page, LOAD)
        page.click("#pause")
        until(page, "/to=\\d+/.test(location.hash)")
        page.hover(f"{PROCESSOR} .u-over")
        until(page, r"/^\d{4}-\d\d-\d\d \d\d:/.test(document.querySelector('#moment').textContent)")
        until(page, f"({PLACES}).length > 3 && new Set({PLACES}).size === 1 && ({PLACES})[0] > 50")


def test_every_series_is_found_by_typing_and_put_on_a_chart(shared: Site, browser: Browser) -> None:
    """Enter puts it on a chart, once more takes it off; the address can be sent to a colleague."""
    with open_page(browser, shared.url) as page:
        wait_for_lines(page)
        page.click("#search")
        page.fill("#find", "context alpha")
        until(page, "document.querySelector('.search [role=status]').textContent !== ''")
        page.fill("#find", "ctx_switches")
        until(page, "document.querySelectorAll('#found li').length === 1")
        page.keyboard.press("Enter")
        wait_for_lines(page, '[data-chart="own-0"]')
        assert re.search(r"charts=\d+", address(page))
        sent = page.url
        page.fill("#find", "cpu_stats_interrupts")
        until(page, "document.querySelector('#found code')?.textContent === 'cpu_stats_interrupts'")
        page.click("#found li")
        page.wait_for_selector('[data-chart="own-1"]')
        page.keyboard.press("Enter")
        page.wait_for_selector('[data-chart="own-1"]', state="detached")
        page.keyboard.press("Escape")
    with open_page(browser, sent) as page:
        wait_for_lines(page, '[data-chart="own-0"]')
        page.click('[data-chart="own-0"] header .close')
        page.wait_for_selector('[data-chart="own-0"]', state="detached")
        assert "charts" not in address(page)


def test_an_outage_is_a_gap_and_late_polls_fill_it_in(site: Site, browser: Browser) -> None:
    """Silence is shown as such; when the polls come after all, they are marked as late, and nothing is missing."""
    agent = site.agent("alpha", SLOW_S)
    with open_page(browser, f"{site.url}#span=60000") as page:
        wait_for_lines(page)
        agent.signal("uploader", "SIGSTOP")
        wait_for_event(page, "nothing has arrived since")
        until(page, "document.querySelector('.head .state').textContent.includes('silent')")
        agent.signal("uploader", "SIGCONT")
        wait_for_event(page, " late")
        until(page, "document.querySelector('.head .state').textContent.includes('live')")
        assert "outage" not in events(page)
        assert "missing" not in page.inner_text(".head")


def test_polls_that_were_never_made_stay_a_gap(site: Site, browser: Browser) -> None:
    """No line is drawn through it: at the crosshair there is no value, and the reason."""
    agent = site.agent("alpha")
    with open_page(browser, f"{site.url}#span=60000") as page:
        wait_for_lines(page)
        agent.stop()
        time.sleep(3)  # fewer ticks than that would be no outage, but single ones
        agent.start()
        wait_for_event(page, "an outage of")
        until(
            page, "document.querySelector('.head .trouble').textContent.includes('polls missing')"
        )
        page.click(".events button:has-text('an outage of')")
        wait_for_lines(page)
        # What was clicked is in the middle, and a quarter as wide as the chart.
        page.hover(f"{PROCESSOR} .u-over")
        until(page, "/polls are missing/.test(document.querySelector('#moment').textContent)")
        assert page.inner_text(f"{PROCESSOR} output") == "-"
        assert not page.evaluate(HAS_LINES_IN_THE_MIDDLE, PROCESSOR)


def test_two_hosts_on_a_wall_and_one_beside_the_other(site: Site, browser: Browser) -> None:
    """The one in trouble comes first. Beside each other, the second is dashed."""
    site.agent("alpha")
    beta = site.agent("beta")
    with open_page(browser, site.url) as page:
        until(page, "document.querySelectorAll('.card').length === 2")
        beta.stop()
        until(
            page,
            "document.querySelector('.card h2').textContent === 'beta'"
            " && document.querySelector('.card').textContent.includes('silent')",
        )
        page.click(".card:has-text('alpha')")
        wait_for_lines(page)
        assert page.inner_text("h1") == "alpha"
        page.select_option("#with", label="beta")
        page.wait_for_selector(f"{PROCESSOR} .swatch.dashed")
        assert "busy · beta" in page.inner_text(f"{PROCESSOR} .legend")
        wait_for_lines(page)
        assert "with=" in address(page)


HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
RIGHT_TO_LEFT = "\u202egnp.exe \u05d0\u05d1\u05d2 \u202e<b>bold</b>"


def test_nothing_of_a_post_is_markup(site: Site, browser: Browser) -> None:
    """Names in the search, on the wall, in headings and beside lines are shown as they are."""
    now_ms = 1_790_000_000_000
    points = [
        point(
            key="disk_io_read_count", value=value, timestamp=now_ms, checksum=f"{number:064x}",
            agent_polled_target=HOSTILE, agent_hostname="x" * 10_000, disk_partition=name,
        )
        for number, (name, value) in enumerate(
            ((HOSTILE, 1), (RIGHT_TO_LEFT, 2), ("y" * 500, 3), ("__proto__", 4))
        )
    ]  # fmt: skip
    points.append(
        point(
            key=f"{HOSTILE[:60]}", timestamp=now_ms, checksum="f" * 64, agent_polled_target=HOSTILE
        )
    )
    answer = site.receiver.post("a53c" * 16, body(*points, envelope_ms=now_ms))
    assert answer.status == 200, answer.text
    with open_page(browser, f"{site.url}#wall") as page:
        page.wait_for_selector(".card")
        assert HOSTILE in page.inner_text(".card h2")
        # The agent polls every five minutes: sixty polls are what a person wants to see first.
        assert page.input_value("#span") == "21600000"
        page.click(".card")
        page.wait_for_selector("h1 bdi")
        assert page.inner_text("h1") == HOSTILE
        for family in page.locator(".families summary").all():
            family.click()
        page.wait_for_selector(".families .legend bdi")
        page.keyboard.press("/")
        page.fill("#find", "disk_io_read_count")
        until(page, "document.querySelectorAll('#found li').length === 4")
        assert RIGHT_TO_LEFT in [each.inner_text() for each in page.locator("#found .device").all()]
        page.keyboard.press("Enter")
        page.wait_for_selector('[data-chart="own-0"]')
        page.keyboard.press("Escape")
        assert page.locator("main script, main img, main b").count() == 0
        assert page.title() != "taken"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_without_end_are_cut(shared: Site, browser: Browser) -> None:
    """Ten thousand characters break neither the layout nor the browser, whatever the receiver lets through."""
    name = f"{HOSTILE}{chr(0x5D0) * 10_000}"
    with open_page(browser, "about:blank") as page:
        answer = page.request.get(f"{shared.url}api/v1/agents").json()
        answer["agents"] = [{**agent, "host": name} for agent in answer["agents"]]
        page.route("**/api/v1/agents", lambda route: route.fulfill(json=answer))
        page.goto(shared.url)
        wait_for_lines(page)
        assert len(page.inner_text("h1")) < 400
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_everything_can_be_done_by_keys(shared: Site, browser: Browser) -> None:
    """Find, choose, put on a chart, pause, zoom, earlier, crosshair, help; Tab reaches what is left."""
    with open_page(browser, f"{shared.url}#span=60000") as page:
        wait_for_lines(page)
        keys = page.keyboard
        keys.press("/")
        keys.type("load_average")
        until(page, "document.querySelectorAll('#found li').length === 3")
        keys.press("ArrowDown")
        keys.press("Enter")
        until(page, "/charts=\\d+/.test(location.hash)")
        keys.press("Escape")
        page.wait_for_selector('[data-chart="own-0"] canvas')
        keys.press("+")
        until(page, "location.hash.includes('span=30000')")
        keys.press("-")
        until(page, "location.hash.includes('span=60000')")
        keys.press("Space")
        until(page, "/to=\\d+/.test(location.hash)")
        keys.press("Space")
        until(page, "!/to=/.test(location.hash)")
        keys.press("ArrowLeft")
        until(page, "/to=\\d+/.test(location.hash)")
        keys.press(",")
        assert page.inner_text("#moment")
        keys.press("Escape")
        keys.press("?")
        page.wait_for_selector("dialog.help[open]")
        keys.press("Escape")
        reached = set()
        for _ in range(40):
            keys.press("Tab")
            reached.add(page.evaluate("document.activeElement.tagName"))
        assert {"A", "BUTTON", "SELECT", "SECTION", "SUMMARY"} <= reached


def test_a_phone_has_it_all_in_one_column(shared: Site, browser: Browser) -> None:
    """Nothing is wider than the screen, and a finger moves the crosshair."""
    with open_page(
        browser, shared.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
        color_scheme="dark",
    ) as page:  # fmt: skip
        wait_for_lines(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        lefts = {box["x"] for c in page.locator(".charts:not(.own) .chart").all()[:4]
                 if (box := c.bounding_box())}  # fmt: skip
        assert len(lefts) == 1
        page.tap(f"{PROCESSOR} .u-over")
        until(page, "document.querySelector('#moment').textContent !== ''")
        page.tap("#search")
        page.wait_for_selector("dialog.search[open]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_login_leads_to_the_page(browser: Browser, home: Path) -> None:
    """Where a token is needed, the address leads to its form, and a wrong token to the form again."""
    token = home / "token"
    assert command("--make-token", str(token), cwd=home).returncode == 0
    site = Site(home, "--token-file", str(token))
    try:
        with open_page(browser, site.url, away=True) as page:
            page.fill("[name=token]", "not the token at all, but long")
            page.click("button")
            page.wait_for_selector("text=This is not the token")
            page.fill("[name=token]", token.read_text().strip())
            page.click("button")
            page.wait_for_selector(".empty pre")
            page.context.clear_cookies()
            page.wait_for_selector("[name=token]")
    finally:
        site.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_by_the_systems_choice(shared: Site, browser: Browser, scheme: str) -> None:
    """Dark is dark, and light is light, also where the choice changes while the page is open."""
    other = "dark" if scheme == "light" else "light"
    with open_page(browser, shared.url, color_scheme=other) as page:
        wait_for_lines(page)
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", back)[:3])) / 3
        assert (brightness < 60) if scheme == "dark" else (brightness > 200)
        wait_for_lines(page)


def test_a_receiver_that_is_away_is_said_and_its_return_noticed(
    site: Site, browser: Browser
) -> None:
    """What was drawn stands still, without a gap that nobody knows of; afterwards charts move on, and nothing is missing."""
    site.agent("alpha", SLOW_S)
    with open_page(browser, f"{site.url}#span=60000", away=True) as page:
        wait_for_lines(page)
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(request.url))
        site.kill_receiver()
        page.wait_for_selector("#banner:not([hidden])")
        assert "has not answered since" in page.inner_text("#banner")
        still = page.evaluate(DRAWN, PROCESSOR)
        asked = len(failed)
        while len(failed) < asked + 3:
            page.wait_for_timeout(50)
        assert page.evaluate(DRAWN, PROCESSOR) == still
        site.receiver_back()
        page.wait_for_selector("#banner", state="hidden")
        until(page, f"before => ({DRAWN})('{PROCESSOR}') !== before", arg=still)
        until(page, "!/outage|nothing/.test(document.querySelector('.events').textContent)")
