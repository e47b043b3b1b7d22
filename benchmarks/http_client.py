"""The least client that can load a server: bytes made beforehand, a socket for each request.

Client and server share the processors, so a client that parsed answers would hide what is measured.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode


def make_post(path: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    """Make the bytes of a request that sends a form and closes its connection."""
    body = urlencode(fields)
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/x-www-form-urlencoded", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", body]).encode()


def send(port: int, request: bytes) -> bytes:
    """Send a request to a port of this machine and read the answer to its end.

    :raise RuntimeError: if it is not answered with 200.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    answer = b"".join(pieces)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"a request of the benchmark was answered with {answer[:200]!r}")
    return answer


def requests_a_second(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> float:
    """Let some clients at once send the requests again and again, each waiting for its answer."""
    end = time.perf_counter() + seconds
    done = [0] * clients
    errors: list[Exception] = []

    def work(client: int) -> None:
        try:
            for request in itertools.cycle(requests[client::clients]):
                send(port, request)
                done[client] += 1
                if time.perf_counter() >= end:
                    return
        except Exception as error:
            errors.append(error)

    start = time.perf_counter()
    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(done) / (time.perf_counter() - start)
