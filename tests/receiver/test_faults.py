"""Misbehaving clients and a killed receiver: others are served, and the data stays intact."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.receiver.reading import Reader
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.receiver.process import Receiver


def assert_serves(receiver: Receiver, posts: int) -> None:
    """Assert that a good post is stored, after exactly `posts` others."""
    assert receiver.post(GOLDEN_AGENT, GOLDEN).text == "OK"
    with receiver.reader() as reader:
        assert reader.totals().posts == posts + 1


@pytest.mark.parametrize(
    "garbage",
    [b"\0\xff\x16\x03\x01" * 100, b"GET\r\n\r\n", b"\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"],
)
def test_garbage_on_the_socket_does_no_harm(receiver: Receiver, garbage: bytes) -> None:
    """Bytes that are not HTTP end at most their own connection."""
    with receiver.connect() as client:
        client.sendall(garbage)
        # The receiver may reset the connection if it closes before it has read everything.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert_serves(receiver, posts=0)


@pytest.mark.parametrize("reset", [False, True])
def test_half_a_post_is_not_stored(receiver: Receiver, *, reset: bool) -> None:
    """A client that closes, or resets, in the middle of a body leaves nothing behind."""
    whole = body(point())
    client = receiver.connect()
    client.sendall(receiver.head(AGENT, len(whole)) + whole[: len(whole) // 2])
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert_serves(receiver, posts=0)


def test_a_whole_post_whose_sender_left_is_stored(receiver: Receiver) -> None:
    """A client need not wait for the answer."""
    whole = body(point())
    with receiver.connect() as client:
        client.sendall(receiver.head(AGENT, len(whole)) + whole)
    with receiver.reader() as reader:
        wait_for(lambda: reader.totals().posts == 1, what="the post")
    assert_serves(receiver, posts=1)


def test_slow_clients_do_not_delay_others(receiver: Receiver) -> None:
    """Clients that send byte by byte are served, while others are, too."""
    whole = body(point())
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(receiver.connect()) for _ in range(20)]
        for client in slow:
            client.sendall(receiver.head(AGENT, len(whole)))
        for number in range(20):
            for client in slow:
                client.sendall(whole[number : number + 1])
            sent = body(point(timestamp=TICK + number), envelope_ms=TICK + number)
            assert receiver.post(AGENT, sent).status == 200
        for client in slow:
            client.sendall(whole[20:])
            assert client.recv(12) == b"HTTP/1.1 200"
    assert_serves(receiver, posts=40)


def send_until_refused(receiver: Receiver, agent_id: str) -> None:
    """Send post after post until the receiver has ended."""
    envelope_ms = TICK
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            envelope_ms += 1
            points = [
                point(agent_id=AGENT, timestamp=envelope_ms, checksum=f"{n:064x}")
                for n in range(50)
            ]
            receiver.post(agent_id, body(*points, envelope_ms=envelope_ms))


def test_a_kill_under_load_leaves_a_readable_database(receiver: Receiver) -> None:
    """After `kill -9` under load every post is stored as a whole or not at all."""
    senders = [
        threading.Thread(target=send_until_refused, args=(receiver, AGENT)) for _ in range(3)
    ]
    for sender in senders:
        sender.start()
    with receiver.reader() as reader:
        wait_for(lambda: reader.totals().posts >= 20, what="twenty posts")
    receiver.process.send_signal(signal.SIGKILL)
    receiver.process.wait(20)
    for sender in senders:
        sender.join(20)
        assert not sender.is_alive()
    with Reader(receiver.database) as reader:
        assert reader._rows("PRAGMA integrity_check") == [("ok",)]
        polls = reader._rows("SELECT layout, 1 FROM polls")
        blocks = reader._rows("SELECT layout, rows FROM blocks WHERE tier = 0")
        kept = [len(reader._layouts.series(layout)) * rows for layout, rows in [*polls, *blocks]]
        totals = reader.totals()
    assert sum(kept) == totals.stored
    assert totals.stored + totals.duplicates == totals.datapoints == 50 * totals.posts
