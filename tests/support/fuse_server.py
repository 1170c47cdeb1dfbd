"""A FUSE server that shows single files as they are, until it is told to let some of them hang.

Run it as root in a mount namespace of its own, with the paths as arguments. It mounts a file system
over each, prints `ready`, and obeys lines on stdin: `hang PATH`, `answer PATH`. A request that it has
taken and not answered cannot be killed: its process is in state D. At the end of stdin the server
exits, and the kernel fails all requests.

It speaks the protocol of the kernel's fuse(4) and <linux/fuse.h> with no library.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from errno import ENOSYS
from pathlib import Path
from threading import Lock, Thread
from typing import Final

_GETATTR: Final = 3
_OPEN: Final = 14
_READ: Final = 15
_STATFS: Final = 17
_RELEASE: Final = 18
_FLUSH: Final = 25
_INIT: Final = 26
#: FORGET, INTERRUPT and BATCH_FORGET have no answer.
_UNANSWERED: Final = frozenset({2, 36, 42})

_REQUEST_BYTES: Final = 1 << 17
_HEADER: Final = struct.Struct("=IIQQIIIHH")
_READ_FROM: Final = struct.Struct("=QQI")
_INIT_ANSWER: Final = struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 8, 8, 4096, 1, 1, 0, 0)
_MODE: Final = 0o100444
_ATTRIBUTES: Final = struct.pack(
    "=QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, _MODE, 1, 0, 0, 0, 4096, 0
)
_DIRECT_IO: Final = struct.pack("=QII", 0, 1, 0)
_MS_NOSUID_NODEV: Final = 2 | 4


class File:
    """One file, with a file system of its own over it."""

    def __init__(self, path: str) -> None:
        self._content = os.open(path, os.O_RDONLY)
        self._device = os.open("/dev/fuse", os.O_RDWR)
        self._lock = Lock()
        self._hangs = False
        self._waiting: list[tuple[int, bytes]] = []
        options = f"fd={self._device},rootmode={_MODE:o},user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        kind = b"fuse"
        if libc.mount(kind, path.encode(), kind, _MS_NOSUID_NODEV, options.encode()) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        Thread(target=self._serve, daemon=True).start()

    def hang(self) -> None:
        """Answer nothing that asks for the file or its attributes from now on."""
        with self._lock:
            self._hangs = True

    def answer(self) -> None:
        """Answer what waits, and everything from now on."""
        with self._lock:
            self._hangs = False
            for unique, answer in self._waiting:
                self._reply(unique, answer)
            self._waiting.clear()

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _REQUEST_BYTES)
            except OSError:  # unmounted
                return
            _, opcode, unique, *_ = _HEADER.unpack_from(request)
            if opcode not in _UNANSWERED:
                self._handle(opcode, unique, request)

    def _handle(self, opcode: int, unique: int, request: bytes) -> None:
        answers = {
            _INIT: _INIT_ANSWER,
            _GETATTR: _ATTRIBUTES,
            _OPEN: _DIRECT_IO,
            _STATFS: bytes(80),
            _RELEASE: b"",
            _FLUSH: b"",
        }
        answer = answers.get(opcode)
        if opcode == _READ:
            _, offset, size = _READ_FROM.unpack_from(request, _HEADER.size)
            answer = os.pread(self._content, size, offset)
        with self._lock:
            if answer is None:
                self._reply(unique, b"", -ENOSYS)
            elif self._hangs and opcode in {_GETATTR, _OPEN, _READ}:
                self._waiting.append((unique, answer))
            else:
                self._reply(unique, answer)

    def _reply(self, unique: int, answer: bytes, error: int = 0) -> None:
        os.write(self._device, struct.pack("=IiQ", 16 + len(answer), error, unique) + answer)


def main(paths: list[str]) -> None:
    """Mount, then obey stdin."""
    files = {path: File(path) for path in paths}
    for path in paths:
        Path(path).stat()  # the kernel has finished its handshake
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        verb, path = line.split()
        (files[path].hang if verb == "hang" else files[path].answer)()
        sys.stdout.write(f"{verb}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
