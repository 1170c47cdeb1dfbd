"""A NAT that forgets idle connections: it then drops what they send, and tells nobody."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class ForgetfulNat:
    """Forwards connections to a port of 127.0.0.1, each until nothing was sent on it for `memory_s`."""

    def __init__(self, port: int, memory_s: float) -> None:
        self._target = port
        self._memory_s = memory_s
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        #: How many connections it has forgotten.
        self.forgotten = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self._listening.accept()
                outside = socket.create_connection(("127.0.0.1", self._target))
                self._open += [inside, outside]
                threading.Thread(target=self._forward, args=(inside, outside), daemon=True).start()
                threading.Thread(target=self._return, args=(outside, inside), daemon=True).start()

    def _forward(self, inside: socket.socket, outside: socket.socket) -> None:
        used = time.monotonic()
        is_forgotten = False
        with contextlib.suppress(OSError):
            while piece := inside.recv(65536):
                if time.monotonic() - used > self._memory_s and not is_forgotten:
                    is_forgotten = True
                    self.forgotten += 1
                used = time.monotonic()
                if not is_forgotten:
                    outside.sendall(piece)
            outside.shutdown(socket.SHUT_WR)

    @staticmethod
    def _return(outside: socket.socket, inside: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := outside.recv(65536):
                inside.sendall(piece)
            inside.shutdown(socket.SHUT_WR)
