"""Fixtures of other tests, for the drills too."""

from tests.geolocation.conftest import write_database
from tests.worker.conftest import host, make_host

__all__ = ["host", "make_host", "write_database"]
