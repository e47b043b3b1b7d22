"""A Flask app behind a real HTTP server on a free port, for tests that need a browser or a socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve the app on a free loopback port from a thread and yield ``http://127.0.0.1:PORT``."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="test-web-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """A function that serves a Flask app until the end of the test and returns its base URL."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))
