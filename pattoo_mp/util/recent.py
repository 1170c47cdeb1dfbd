"""Values that take long to make, kept as long as they are among those used last."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `most` values by key, those used last. Thread-safe: each output has a thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[K, V] = {}
        self._lock = RLock()

    @property
    def newest(self) -> V | None:
        """The value used last; None if there is none."""
        return next(reversed(self._values.values()), None)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, and make it if it is not kept. `make` may ask for `newest`."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is None:
                value = make()
            self._values[key] = value
            while len(self._values) > self._most:
                del self._values[next(iter(self._values))]
            return value
