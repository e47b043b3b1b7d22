"""The host of the worker's tests, for the drills too."""

from tests.worker.conftest import host, make_host

__all__ = ["host", "make_host"]
