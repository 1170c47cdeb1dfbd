"""Hostile clients: what they can hold of memory, disk, connections and time is limited; others are served."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.receiver.app import LARGE_BYTES, create_app
from pattoo_mp.receiver.bounded import CONNECTIONS, HELD_BYTES
from pattoo_mp.receiver.decode import MAX_BODY_BYTES, Refused, decode_post
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, body, content, point
from tests.receiver.test_app import post
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from pattoo_mp.receiver.decode import Post
    from pattoo_mp.receiver.posts import StoredPost
    from tests.receiver.process import Receiver

#: Lists that say little are the most expensive JSON of their size.
LISTS = b"[" + b"[]," * (MAX_BODY_BYTES // 3 - 1) + b"[]]"


def peak_bytes(receiver: Receiver) -> int:
    """The most memory that the receiver has had so far."""
    rows = Path(f"/proc/{receiver.process.pid}/status").read_text().splitlines()
    return next(1024 * int(row.split()[1]) for row in rows if row.startswith("VmHWM"))


def temporary_files(receiver: Receiver) -> list[str]:
    """The open files of the receiver that have no name any more."""
    names = []
    for link in Path(f"/proc/{receiver.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(str(link.readlink()))
    return [name for name in names if name.endswith("(deleted)")]


@pytest.fixture
def clients() -> Iterator[contextlib.ExitStack]:
    """Connections that stay open until the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


def is_closed(client: socket.socket) -> bool:
    """Whether the receiver has closed a connection on which it has nothing to say."""
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_body_of_empty_lists_takes_little_memory(receiver: Receiver) -> None:
    """It would take 25 times its size; it is refused before it is decoded."""
    answer = receiver.post(AGENT, LISTS)
    assert (answer.status, "empty lists" in answer.text) == (500, True)
    assert peak_bytes(receiver) < 8 * MAX_BODY_BYTES


@pytest.mark.parametrize("sent", [b"[" * 9 + b"0" + b"]" * 9, b"[" * 100_000, b'{"a":' * 100_000])
def test_a_body_of_many_levels_is_refused(sent: bytes) -> None:
    """Whatever limit the library and the release of Python have."""
    with pytest.raises(Refused, match="levels") as refused:
        decode_post(sent + b" " * 1_000_000)
    assert refused.value.status == 500


def test_many_datapoints_of_few_pairs_are_refused() -> None:
    """They take little room in a body, and much afterwards."""
    sent = content(point())
    rows = sent["pattoo_datapoints"]["datapoint_pairs"]
    sent["pattoo_datapoints"]["datapoint_pairs"] = rows * 100_001
    with pytest.raises(Refused, match="more than 100000 datapoints") as refused:
        decode_post(json.dumps(sent).encode())
    assert refused.value.status == 413


def test_a_datapoint_of_very_many_pairs_is_refused() -> None:
    """The same pair may be named again and again."""
    sent = content(point(disk="sda"))
    sent["pattoo_datapoints"]["datapoint_pairs"][0] += [10] * 250
    with pytest.raises(Refused, match="more than 250 pairs"):
        decode_post(json.dumps(sent).encode())


def test_a_post_of_a_host_with_thousands_of_mounts_is_accepted(receiver: Receiver) -> None:
    """The largest real posts are far from the limits."""
    whole = body(*(point(checksum=f"{n:064x}", disk=f"{n:060}") for n in range(4_000)))
    assert LARGE_BYTES < len(whole) < MAX_BODY_BYTES / 2
    assert receiver.post(AGENT, whole).status == 200


def test_unfinished_bodies_hold_no_file_and_little_memory(
    receiver: Receiver, clients: contextlib.ExitStack
) -> None:
    """All together are limited; those that have waited for longest are dropped, and others are served."""
    before = peak_bytes(receiver)
    almost = b" " * (MAX_BODY_BYTES - 1)
    for _ in range(3 * HELD_BYTES // MAX_BODY_BYTES):
        client = clients.enter_context(receiver.connect())
        client.sendall(receiver.head(AGENT, MAX_BODY_BYTES))
        client.sendall(almost)
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200
    assert temporary_files(receiver) == []
    assert peak_bytes(receiver) < before + 2 * HELD_BYTES


def test_a_body_that_is_too_long_is_not_kept(receiver: Receiver) -> None:
    """Not even while it is read."""
    before = peak_bytes(receiver)
    assert receiver.post(AGENT, b" " * (MAX_BODY_BYTES + 50_000_000)).status == 413
    assert peak_bytes(receiver) < before + 3 * MAX_BODY_BYTES
    assert temporary_files(receiver) == []


def test_more_dripping_clients_than_connections_lock_nobody_out(
    receiver: Receiver, clients: contextlib.ExitStack
) -> None:
    """The oldest of them are closed for the new ones."""
    for _ in range(CONNECTIONS + 50):
        client = clients.enter_context(receiver.connect())
        client.sendall(receiver.head(AGENT, 1000) + b"{")
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200
    wait_for(lambda: "closed connections" in receiver.log, what="a line in the log")
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200


@pytest.mark.parametrize("piece", [b" ", b"\r\n", b""])
def test_a_request_must_arrive_whole_within_its_time(
    make_receiver: Callable[..., Receiver], piece: bytes, clients: contextlib.ExitStack
) -> None:
    """However often a byte, or a blank line, arrives; and if nothing arrives at all."""
    receiver = make_receiver("--request-seconds", "1")
    client = clients.enter_context(receiver.connect())
    if piece == b" ":
        client.sendall(receiver.head(AGENT, 1_000_000))

    def drip() -> bool:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client.sendall(piece)
        return is_closed(client)

    wait_for(drip, what="the end of the connection")
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200


def test_a_connection_that_posts_again_and_again_stays(
    make_receiver: Callable[..., Receiver], clients: contextlib.ExitStack
) -> None:
    """The time limit is that of one request."""
    receiver = make_receiver("--request-seconds", "1")
    client = clients.enter_context(receiver.connect())
    other = clients.enter_context(receiver.connect())
    head = f"GET {receiver.path}/status HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    while not is_closed(other):  # so the limit has passed
        client.settimeout(20)
        client.sendall(head)
        answer = b""
        while not answer.endswith(b"Operational."):
            answer += client.recv(4096)
    assert not is_closed(client)


class Waiting(Store):
    """A store that takes its time with a post, as with a very large one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def add(self, post: Post, *, received_ms: int, size_bytes: int) -> StoredPost:
        """Wait to be told to go on, if the post is large."""
        if size_bytes > LARGE_BYTES:
            self.begun.set()
            assert self.go_on.wait(60)
        return super().add(post, received_ms=received_ms, size_bytes=size_bytes)


def test_only_one_large_post_is_decoded_at_a_time(tmp_path: Path) -> None:
    """Another one is to be sent again; small ones are stored meanwhile."""
    large = body(point()) + b" " * LARGE_BYTES
    with Waiting(tmp_path / "db.sqlite") as store, Reader(store.path) as reader:
        app = create_app(store, reader)
        answers: list[tuple[int, str]] = []
        first = threading.Thread(
            target=lambda: answers.append(post(app.test_client(), AGENT, large))
        )
        first.start()
        assert store.begun.wait(60)
        busy = app.test_client().post(
            f"/pattoo/api/v1/agent/receive/{AGENT}", data=large, content_type="application/json"
        )
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
        assert post(app.test_client(), GOLDEN_AGENT, GOLDEN) == (200, "OK")
        store.go_on.set()
        first.join(60)
        assert answers == [(200, "OK")]
        assert post(app.test_client(), AGENT, large) == (200, "OK")
