"""How evenly the page moves: `python -m tests.benchmarks.page`, for SECONDS.

A real receiver and an agent that polls ten times a second; the page shows a minute. Frames are those that the page
draws: it draws no more than can be seen to move. Late ones come 50 ms or more after they were due.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.page.conftest import Site
from tests.support.browser import open_page, running_browser

#: Counts what is drawn by the canvas of the first chart: each frame clears it.
COUNT: Final = """() => {
    const clear = CanvasRenderingContext2D.prototype.clearRect;
    window.drawn = [];
    const first = document.querySelector('.chart canvas');
    CanvasRenderingContext2D.prototype.clearRect = function (...place) {
        if (this.canvas === first) window.drawn.push(performance.now());
        return clear.apply(this, place);
    };
}"""
CHARTS: Final = "[...document.querySelectorAll('.chart canvas')].length"


def main() -> int:
    """Measure, and print. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="pmp-") as home, running_browser() as browser:
        site = Site(Path(home))
        try:
            site.agent("alpha")
            screen = {"width": 1400, "height": 1000}
            with open_page(browser, f"{site.url}#span=60000", viewport=screen) as page:
                page.wait_for_selector(".chart canvas")
                page.wait_for_timeout(5000)
                session = page.context.new_cdp_session(page)
                session.send("Performance.enable")
                before = _metrics(session)
                page.evaluate(COUNT)
                page.wait_for_timeout(seconds * 1000)
                times: list[float] = page.evaluate("window.drawn")
                after = _metrics(session)
                charts = page.evaluate(CHARTS)
        finally:
            site.end()
    gaps = [later - one for one, later in pairwise(times)]
    usual = sorted(gaps)[len(gaps) // 2]
    late = sum(gap > usual + 50 for gap in gaps)
    script = (after["ScriptDuration"] - before["ScriptDuration"]) / seconds
    sys.stdout.write(
        f"charts on the screen        {charts}\n"
        f"frames a second             {len(times) / seconds:.1f}, one each {usual:.0f} ms\n"
        f"late frames                 {late} of {len(gaps)}, {max(gaps):.0f} ms at worst\n"
        f"processor of the scripts    {script:.1%}\n"
        f"memory of the scripts       {after['JSHeapUsedSize'] / 1e6:.1f} MB\n"
    )
    return 0


def _metrics(session: Any) -> dict[str, float]:  # noqa: ANN401 - the driver's session
    return {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }


if __name__ == "__main__":
    sys.exit(main())
