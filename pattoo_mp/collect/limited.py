"""A source that may hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.timelimit import only

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Sample, Shape, Source
    from pattoo_mp.collect.together import Together
    from pattoo_mp.model import Pair, Series


class Limited:
    """The source that it is given, but waited for no longer than a limit: it is all or nothing."""

    def __init__(self, source: Source, together: Together) -> None:
        self._source = source
        self._together = together
        self._ask = together.part(source.name, lambda: ("now",), lambda _: source.read())

    @property
    def name(self) -> str:
        """That of the source."""
        return self._source.name

    def wait_at_most(self, limit_s: float) -> None:
        """Change the limit."""
        self._together.limit_s = limit_s

    def read(self) -> Sample:
        """Ask. Raises what the source raises, or `NoAnswerError`."""
        sample: Sample = only(self._ask())
        return sample

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Those of the source, which asks nobody for them."""
        return self._source.series(shape, host)
