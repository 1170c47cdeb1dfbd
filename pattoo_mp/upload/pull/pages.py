"""The pages of the newest poll: that of an original spoke, and the text that Prometheus scrapes.

Each is made once for a poll, at the first request for it, however many ask. Polls of several interval groups
are shown together, the newest of each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout, Poll, now_ms
from pattoo_mp.upload.remote_write.naming import COUNTER, GAUGE, NAME, Metric
from pattoo_mp.upload.remote_write.prometheus_names import PrometheusNaming
from pattoo_mp.util.recent import Recent
from pattoo_mp.wire.encode import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pattoo_mp.config.values import Output
    from pattoo_mp.model import Value

#: Pages for so many different intervals are kept: few hubs ask a spoke.
_INTERVALS: Final = 4
#: The page is made for this interval (ms). The interval is at two places of it, and in no checksum, so the
#: page for another one costs little: anybody may ask for any number of them.
_MADE_FOR_MS: Final = 1000
_ENVELOPE: Final = b'"pattoo_agent_polling_interval": %d,'
_PAIR: Final = b'["pattoo_agent_polling_interval","%d"]'
#: A poll that is older than so many intervals is no figure of now: /metrics leaves it out.
_STALE_INTERVALS: Final = 3
_LEAST_STALE_MS: Final = 30_000
#: The time of each group's poll, for who wants to know how old a figure is.
_POLLED: Final = "pattoo_poll_timestamp_seconds"
_KINDS: Final = {COUNTER: "counter", GAUGE: "gauge"}
_LABEL: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
_INFO: Final = Metric(help="What the host is; the value is always 1.")
#: Labels that a scrape sets itself.
_OF_TARGET: Final = frozenset({"instance", "job"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A poll with its layout, to be shown."""

    layout: Layout
    poll: Poll


@dataclass(frozen=True, slots=True)
class _Line:
    """A series on the page: its text up to the value, and where its value is: group, place, and scale.

    The value of an info series, without a place, is 1.
    """

    text: str
    interval_ms: int
    place: int | None = None
    scale: float = 1.0

    def filled(self, values: Mapping[int, list[Value]]) -> str:
        """Return the whole line; empty if there is no value that is a number."""
        value = 1 if self.place is None else values[self.interval_ms][self.place]
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return ""
        return f"{self.text}{value if self.scale == 1 else value * self.scale!r}\n"


class Newest:
    """The newest poll of each interval group of one agent. Not thread-safe: its owner serialises access."""

    def __init__(self, output: Output, agent_id: str) -> None:
        self._agent_id = agent_id
        self._naming = PrometheusNaming(output)
        self._shown: dict[int, Shown] = {}
        self._body = b""
        self._pages: Recent[int, bytes] = Recent(_INTERVALS)
        self._texts: dict[bool, bytes] = {}
        self._plan: tuple[tuple[str, ...], dict[str, tuple[Metric, list[_Line]]]] = ((), {})
        self._made_ms = 0

    @property
    def newest_ms(self) -> int:
        """The time of the newest poll (ms since the epoch); 0 if there is none."""
        return max((shown.poll.timestamp_ms for shown in self._shown.values()), default=0)

    def show(self, polls: Mapping[int, Shown], groups: Collection[int]) -> None:
        """Show other polls, by interval (ms). Of the others, those whose interval is in `groups` stay."""
        own = {
            interval_ms: shown
            for interval_ms, shown in polls.items()
            if shown.layout.origin.agent_id == self._agent_id
        }
        if own:
            self._shown |= own
            self._forget_groups(own.keys() | set(groups))
            self._body = b""
            self._pages = Recent(_INTERVALS)
            self._texts = {}
            # The server names its files by this, so it grows from page to page.
            self._made_ms = max(now_ms(), self._made_ms + 1)

    def page(self, interval_s: int) -> bytes | None:
        """Return the post that an original spoke answers with; None if nothing was polled yet.

        The interval is that of the hub. For 0 it is a post without data, as the original's. Raises
        `WireError` for a poll that does not fit its layout.
        """
        return (
            self._pages.get(interval_s, lambda: self._made_page(interval_s))
            if self._shown
            else None
        )

    def metrics(self, *, openmetrics: bool) -> bytes | None:
        """Return the text for Prometheus; None if no poll is of now. Raises `WireError`."""
        shown = self._fresh()
        if not shown:
            return None
        stale = len(shown) < len(self._shown)
        text = None if stale else self._texts.get(openmetrics)
        if text is None:
            text = "".join(self._lines(shown, openmetrics=openmetrics)).encode()
            if not stale:
                self._texts[openmetrics] = text
        return text

    def _forget_groups(self, groups: Collection[int]) -> None:
        """Forget groups that are not polled any more: other ones than these, and those that fell silent."""
        newest_ms = self.newest_ms
        for interval_ms, shown in list(self._shown.items()):
            is_silent = shown.poll.timestamp_ms + _limit_ms(interval_ms) < newest_ms
            if is_silent or interval_ms not in groups:
                del self._shown[interval_ms]

    def _fresh(self) -> dict[int, Shown]:
        now = time.time() * 1000
        return {
            interval_ms: shown
            for interval_ms, shown in sorted(self._shown.items())
            if now <= shown.poll.timestamp_ms + _limit_ms(interval_ms)
        }

    def _made_page(self, interval_s: int) -> bytes:
        if not interval_s:
            return _without_data(self._agent_id, self._made_ms)
        self._body = self._body or self._made_body()
        page = self._body
        for text in (_ENVELOPE, _PAIR):
            page = page.replace(text % _MADE_FOR_MS, text % (interval_s * 1000), 1)
        return page

    def _made_body(self) -> bytes:
        layouts, polls = {}, []
        for shown in self._shown.values():
            parts = tuple(
                replace(part, interval_ms=_MADE_FOR_MS) for part in shown.layout.undivided
            )
            layout = Layout.of_parts(parts) if shown.layout.parts else parts[0]
            layouts[layout.identifier] = layout
            polls.append(Poll.of(layout, shown.poll.timestamp_ms, shown.poll.values()))
        return (
            encode(layouts, sorted(polls, key=lambda poll: poll.timestamp_ms), self._made_ms)
            + b"\n"
        )

    # --- the text for Prometheus

    def _lines(self, shown: Mapping[int, Shown], *, openmetrics: bool) -> Iterator[str]:
        values = {interval_ms: _values(one) for interval_ms, one in shown.items()}
        for name, (metric, lines) in self._planned(shown).items():
            found = [text for line in lines if (text := line.filled(values))]
            if found:
                yield _heading(name, metric, openmetrics=openmetrics)
                yield from found
        yield _heading(
            _POLLED,
            Metric(help="When the newest poll of each interval was made."),
            openmetrics=openmetrics,
        )
        for interval_ms, one in shown.items():
            yield f'{_POLLED}{{interval="{interval_ms / 1000:g}"}} {one.poll.timestamp_ms / 1000!r}\n'
        if openmetrics:
            yield "# EOF\n"

    def _planned(self, shown: Mapping[int, Shown]) -> dict[str, tuple[Metric, list[_Line]]]:
        """Return the metrics with their lines; the same as long as the layouts are."""
        key = tuple(one.layout.identifier for one in shown.values())
        if self._plan[0] != key:
            self._plan = (key, self._made_plan(shown))
        return self._plan[1]

    def _made_plan(self, shown: Mapping[int, Shown]) -> dict[str, tuple[Metric, list[_Line]]]:
        plan: dict[str, tuple[Metric, list[_Line]]] = {}
        seen: set[str] = set()

        def add(labels: Mapping[str, str], metric: Metric, line: _Line) -> None:
            # The same name and labels twice are an error of the page. The first one is shown.
            text = _series(labels)
            if text not in seen:
                seen.add(text)
                plan.setdefault(labels[NAME], (metric, []))[1].append(replace(line, text=text))

        for interval_ms, one in shown.items():
            for labels in self._naming.info(one.layout):
                add(labels, _INFO, _Line("", interval_ms))
            place = 0
            for part in one.layout.undivided:
                named = self._naming.named(part)
                for of_series, scale in zip(named.labels, named.scales, strict=True):
                    if of_series is not None:
                        metric = named.metrics[of_series[NAME]]
                        add(of_series, metric, _Line("", interval_ms, place, scale))
                    place += 1
        return plan


def _values(shown: Shown) -> list[Value]:
    """Return the values of a poll, one for each series. Raises `WireError`."""
    values = shown.poll.values()
    if len(values) != len(shown.layout.series):
        raise WireError(
            f"a poll of {len(values)} values for a layout of {len(shown.layout.series)} series"
        )
    return values


def _limit_ms(interval_ms: int) -> int:
    return max(_STALE_INTERVALS * interval_ms, _LEAST_STALE_MS)


def _without_data(agent_id: str, made_ms: int) -> bytes:
    return (
        f'{{"pattoo_agent_id":"{agent_id}","pattoo_agent_polling_interval":0,'
        f'"pattoo_agent_timestamp":{made_ms},'
        '"pattoo_datapoints":{"datapoint_pairs":[],"key_value_pairs":{}}}\n'
    ).encode()


def _series(labels: Mapping[str, str]) -> str:
    """Return the name and the labels of a series, and a blank."""
    texts = ",".join(
        f'{name}="{value.translate(_LABEL)}"'
        for name, value in labels.items()
        if name != NAME and name not in _OF_TARGET
    )
    return f"{labels[NAME]}{{{texts}}} " if texts else f"{labels[NAME]} "


def _heading(name: str, metric: Metric, *, openmetrics: bool) -> str:
    """Return the lines before a metric's series.

    In OpenMetrics a counter is called by its name without `_total`; one without that is of no known type.
    """
    kind = _KINDS.get(metric.kind, "unknown" if openmetrics else "untyped")
    if openmetrics and kind == "counter":
        kind = "counter" if name.endswith("_total") else "unknown"
        name = name.removesuffix("_total")
    about = (metric.help or "As psutil reports it.").translate(_HELP)
    if openmetrics:
        about = about.replace('"', r"\"")
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
