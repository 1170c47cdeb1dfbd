"""Messages between two processes, one of which may be killed at any moment."""

from __future__ import annotations

import os
import select
import signal
import socket
import tracemalloc
from typing import TYPE_CHECKING

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.ipc.messages import Kind
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.ipc.link import Message

Ends = tuple[Link, Link]
LARGE = b"x" * (4 << 20)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The two ends of a connection."""
    pair = Link.pair()
    yield pair
    for end in pair:
        end.close()


def forked(act: Callable[[], None]) -> int:
    """Fork a process that only runs `act`; return its PID."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    return child


def everything(link: Link) -> list[Message]:
    """Receive all messages until the other side has exited."""
    messages: list[Message] = []
    while True:
        assert select.select([link], [], [], 20)[0], "nothing came, and no end"
        try:
            messages += link.receive()
        except LinkClosedError:
            return messages


def test_a_message_arrives_as_it_was_sent(ends: Ends) -> None:
    """Texts, numbers, bytes and nested fields arrive as lists of the same."""
    ends[0].send("poll", 1, 2.5, b"\x00\xff", None, {"what": ["why"]})
    assert ends[1].receive() == [["poll", 1, 2.5, b"\x00\xff", None, {"what": ["why"]}]]


def test_both_ends_can_send(ends: Ends) -> None:
    """The two directions do not mix."""
    ends[0].send("there")
    ends[1].send("back")
    assert (ends[1].receive(), ends[0].receive()) == ([["there"]], [["back"]])


def test_receive_without_a_message_is_empty(ends: Ends) -> None:
    """No message is no error, and does not block."""
    assert ends[0].receive() == []


@settings(max_examples=60, deadline=None)
@given(
    messages=st.lists(st.lists(st.integers(0, 2**40) | st.binary(max_size=60) | st.text()), max_size=8),
    pieces=st.lists(st.integers(1, 50), min_size=1),
)  # fmt: skip
def test_messages_survive_any_fragmentation(messages: list[Message], pieces: list[int]) -> None:
    """However the bytes are split, the same messages arrive in order."""
    sender, receiver = socket.socketpair()
    link = Link(receiver)
    content = b"".join(msgpack.packb(message) for message in messages)
    got: list[Message] = []
    with sender:
        while content:
            for size in pieces:
                sender.sendall(content[:size])
                content = content[size:]
                got += link.receive()
    assert got == messages
    link.close()


def test_send_never_blocks_and_flush_delivers_later(ends: Ends) -> None:
    """While the peer does not read, bytes are buffered; once it reads, all arrive in order."""
    sender, receiver = ends
    waited = []
    for number in range(4):
        sender.send(number, LARGE)
        waited.append(sender.unsent_bytes)
    assert waited == sorted(set(waited))
    assert waited[-1] > 3 * len(LARGE)
    got: list[Message] = []

    def all_arrived() -> bool:
        sender.flush()
        got.extend(receiver.receive())
        return len(got) == 4

    wait_for(all_arrived, what="the rest of the messages")
    assert got == [[number, LARGE] for number in range(4)]
    assert sender.unsent_bytes == 0


def test_an_incomplete_message_of_a_killed_process_is_discarded(ends: Ends) -> None:
    """Complete messages are returned, an incomplete one is not; then the link reports its end."""
    ours, theirs = ends

    def talk() -> None:
        theirs.send("whole", 1)
        theirs.send("whole", 2)
        theirs.send("half", LARGE)  # far more than the socket takes
        signal.pause()

    child = forked(talk)
    theirs.close()
    messages: list[Message] = []

    def two_came() -> bool:
        messages.extend(ours.receive())
        return len(messages) == 2

    wait_for(two_came, what="the two whole messages")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert everything(ours) == []
    assert messages == [["whole", 1], ["whole", 2]]
    with pytest.raises(LinkClosedError):
        ours.receive()


def test_the_last_messages_of_a_killed_process_arrive(ends: Ends) -> None:
    """Messages sent before the kill are returned after it."""
    ours, theirs = ends

    def talk() -> None:
        for number in range(100):
            theirs.send(number)
        os.kill(os.getpid(), signal.SIGKILL)

    child = forked(talk)
    theirs.close()
    os.waitpid(child, 0)
    assert everything(ours) == [[number] for number in range(100)]


def test_sending_to_a_closed_peer_raises(ends: Ends) -> None:
    """With its own exception, not SIGPIPE or an OSError."""
    ends[1].close()
    with pytest.raises(LinkClosedError):
        ends[0].send("anyone?")


def test_flushing_to_a_closed_peer_raises(ends: Ends) -> None:
    """Buffered bytes cannot be delivered once the peer has gone."""
    ends[0].send(LARGE)
    ends[1].close()
    with pytest.raises(LinkClosedError):
        ends[0].flush()


def test_a_link_takes_little_memory_however_much_it_has_carried() -> None:
    """With the default buffer size, a link would grow to its maximum within minutes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        ours, theirs = Link.pair()
        for number in range(100):
            ours.send(Kind.POLL, number, b"x" * 10_000)
            assert theirs.receive() == [[Kind.POLL, number, b"x" * 10_000]]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
    ours.close()
    theirs.close()


def test_a_message_that_fills_a_read_exactly_arrives_before_the_end(ends: Ends) -> None:
    """The other side has exited: its last message comes first, and then the end."""
    one, other = ends
    content = b"x" * ((1 << 16) - 4)
    assert len(msgpack.packb([content])) == 1 << 16  # as much as is read at a time
    one.send(content)
    assert one.unsent_bytes == 0
    one.close()
    assert other.receive() == [[content]]
    with pytest.raises(LinkClosedError):
        other.receive()
