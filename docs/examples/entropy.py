"""Entropy: the randomness that the kernel has gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_ENTROPY: Final = Table(
    "entropy", "Entropy", "entropy_", INTEGER,
    (
        Metric("available", INTEGER, "bits", "Entropy",
               "Entropy in the pool; random(4), entropy_avail."),
        Metric("pool", INTEGER, "bits", "Entropy (Pool)",
               "Size of the pool."),
    ),
)
# fmt: on

TABLES: Final = (_ENTROPY,)


def parse(available: str, pool: str) -> dict[str, int]:
    r"""Return the figures, given the content of the kernel's two files.

    >>> parse("256\n", "256\n")
    {'available': 256, 'pool': 256}
    """
    return {"available": int(available), "pool": int(pool)}


def _read() -> dict[str, int]:
    files = ("entropy_avail", "poolsize")
    return parse(*(host.proc(f"sys/kernel/random/{file}") for file in files))


def sources(_: Plan) -> tuple[Source, ...]:
    """A source for each table; this family has only one."""
    return (Fields(_ENTROPY, _read),)
