"""Breaks off connections whose server does not answer: one that is frozen, or its disk, keeps no timeout itself."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_logger = logging.getLogger("melody_logs")

LOOK_EVERY_SECONDS = 0.25
_END_AFTER_IDLE_SECONDS = 5.0


class Watchdog:
    """One thread of a process that looks after every watched connection; it ends when there is nothing to watch."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Watch nothing: at the start, and in a forked child, where the thread is not."""
        self._lock = threading.Lock()
        self._watched: dict[object, tuple[float, Callable[[], int]]] = {}
        self._is_running = False

    @contextmanager
    def limit(self, driver_connection: Any, seconds: float) -> Iterator[None]:
        """Break *driver_connection* off if the block has not ended within *seconds*; whoever waits on it gets an error.

        A connection without a file descriptor is not watched.
        """
        with _descriptor_of(driver_connection) as descriptor:
            if descriptor is None:
                yield
                return
            key = object()
            with self._lock:
                self._watched[key] = (time.monotonic() + seconds, descriptor)
                if not self._is_running:
                    self._start()
            try:
                yield
            finally:
                with self._lock:
                    self._watched.pop(key, None)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="melody_logs watchdog", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            _logger.debug("a slow database is not broken off: %s", error)
        else:
            self._is_running = True

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            with self._lock:
                now = time.monotonic()
                if self._watched:
                    idle_since = now
                elif now - idle_since > _END_AFTER_IDLE_SECONDS:
                    self._is_running = False
                    return
                # Under the lock: a connection that has been given back must not be hit.
                for key, (end, descriptor) in list(self._watched.items()):
                    if now >= end:
                        del self._watched[key]
                        _break_off(descriptor)


@contextmanager
def _descriptor_of(driver_connection: Any) -> Iterator[Callable[[], int] | None]:
    """Give a function that another thread may ask for the descriptor of a connection; None if there is no way."""
    if type(driver_connection).__module__.partition(".")[0] == "MySQLdb":
        # It answers its own thread only. A copy, for by then the number may be another connection's.
        copy = os.dup(driver_connection.fileno())
        try:
            yield lambda: copy
        finally:
            os.close(copy)
    elif hasattr(driver_connection, "_sock"):
        # PyMySQL has no better name for it, and none at all before it is connected.
        yield lambda: int(driver_connection._sock.fileno())
    else:
        yield getattr(driver_connection, "fileno", None)


def _break_off(descriptor: Callable[[], int]) -> None:
    try:
        # A copy of the descriptor: the driver goes on owning its own.
        with socket.socket(fileno=os.dup(descriptor())) as channel:
            channel.shutdown(socket.SHUT_RDWR)
    except Exception as error:  # each driver has its own for a connection that is closed already
        _logger.info("a connection to the log database was gone before it could be broken off: %s", error)
    else:
        _logger.warning("a connection to the log database was broken off: the server did not answer in time")


WATCHDOG = Watchdog()
os.register_at_fork(after_in_child=WATCHDOG.begin)
