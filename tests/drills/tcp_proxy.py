"""A TCP proxy that is slow, silent, or cuts connections at a chosen moment: the network between host and database."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_CHUNK_BYTES = 65_536
#: With a linger time of zero, closing sends RST instead of FIN (socket(7)).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class _Link:
    """A client's connection and ours to the server."""

    client: socket.socket
    server: socket.socket
    drops_answer: bool = False

    def reset(self) -> None:
        """Cut both sides as a crash does."""
        for side in (self.client, self.server):
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                # Wakes whoever reads from it; closing alone would not.
                side.shutdown(socket.SHUT_RD)
            side.close()


@dataclass
class TcpProxy:
    """Forwards connections to a loopback port; what it does wrong may be changed at any time.

    :param delay_seconds: how long everything takes, each way.
    """

    target_port: int
    delay_seconds: float = 0.0
    port: int = 0
    cuts: int = 0
    _forwards: threading.Event = field(default_factory=threading.Event)
    _links: list[_Link] = field(default_factory=list)
    _cut_at: tuple[bytes, bool] | None = None

    def __post_init__(self) -> None:
        self._forwards.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing any more, and keep every connection open."""
        self._forwards.clear()

    def go_on(self) -> None:
        """Forward again."""
        self._forwards.set()

    def reset_all(self) -> None:
        """Cut every connection with RST."""
        links, self._links = self._links, []
        self.cuts += len(links)
        for link in links:
            link.reset()

    def cut_at(self, text: bytes, *, forwarded: bool) -> None:
        """Cut the connection whose client next sends *text*.

        :param forwarded: the server gets it and acts on it, and only its answer is lost; else it gets half of it.
        """
        self._cut_at = (text, forwarded)

    def close(self) -> None:
        """Take no more connections, and cut those that are there."""
        # Closing alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._forwards.set()
        self.reset_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server)
            self._links.append(link)
            threading.Thread(target=self._pump_questions, args=(link,), daemon=True).start()
            threading.Thread(target=self._pump_answers, args=(link,), daemon=True).start()

    def _pump_questions(self, link: _Link) -> None:
        with _closing(link):
            while data := link.client.recv(_CHUNK_BYTES):
                self._wait()
                cut = self._cut_at
                if cut is not None and cut[0] in data:
                    self._cut_at = None
                    self.cuts += 1
                    link.drops_answer = cut[1]
                    if not cut[1]:
                        link.server.sendall(data[: len(data) // 2])
                        link.reset()
                        return
                link.server.sendall(data)

    def _pump_answers(self, link: _Link) -> None:
        with _closing(link):
            while data := link.server.recv(_CHUNK_BYTES):
                if link.drops_answer:
                    link.reset()
                    return
                self._wait()
                link.client.sendall(data)

    def _wait(self) -> None:
        time.sleep(self.delay_seconds)
        self._forwards.wait()


@contextmanager
def _closing(link: _Link) -> Iterator[None]:
    """Close both sides when one has ended."""
    try:
        # A cut line is what the proxy is for.
        with suppress(OSError):
            yield
    finally:
        for side in (link.client, link.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
