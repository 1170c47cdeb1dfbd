"""The memory in which a worker writes what it is doing."""

from __future__ import annotations

import os

import pytest

from pattoo_mp.ipc.place import Place


@pytest.mark.parametrize("text", ["memory", "", "a" * 64, "zürich"])
def test_the_parent_reads_what_a_killed_child_wrote(text: str) -> None:
    """Nothing has to be sent."""
    place = Place()
    place.write("a long text that came before")
    pid = os.fork()
    if pid == 0:
        place.write(text)
        os._exit(0)
    os.waitpid(pid, 0)
    assert place.read() == text


def test_a_longer_text_is_cut_off() -> None:
    """The memory is small."""
    place = Place()
    place.write("a" * 1000)
    assert place.read() == "a" * 64
