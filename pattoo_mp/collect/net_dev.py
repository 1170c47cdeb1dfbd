"""`/proc/net/dev`: what each interface has sent and received; see proc(5).

For the network of another process than our own, of which psutil does not tell.
"""

from __future__ import annotations

from typing import NamedTuple


class Traffic(NamedTuple):
    """The counters of one interface, with psutil's names and in psutil's order."""

    bytes_sent: int
    bytes_recv: int
    packets_sent: int
    packets_recv: int
    errin: int
    errout: int
    dropin: int
    dropout: int


def parse(lines: str) -> dict[str, Traffic]:
    r"""The counters by interface. Raises `ValueError`.

    >>> parse("a\nb\n  lo: 9 8 7 6 0 0 0 0 5 4 3 2 0 0 0 0\n")["lo"]
    Traffic(bytes_sent=5, bytes_recv=9, packets_sent=4, packets_recv=8, errin=7, errout=3, dropin=6, dropout=2)
    """
    found: dict[str, Traffic] = {}
    for line in lines.splitlines()[2:]:
        # The names of some virtual interfaces hold a colon.
        name, _, figures = line.rpartition(":")
        received, packets_in, errin, dropin, _, _, _, _, sent, packets_out, errout, dropout, *_ = (
            int(figure) for figure in figures.split()
        )
        found[name.strip()] = Traffic(
            sent, received, packets_out, packets_in, errin, errout, dropin, dropout
        )
    return found
