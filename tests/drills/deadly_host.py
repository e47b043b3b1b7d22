"""The host of the worker, with a location reader that one address kills with its whole process."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from melody_logs.geolocation.locate import Locator, Lookup
from melody_logs.state import state_of
from tests.worker.host_app import create_app as create_plain_app

DEADLY_ADDRESS = "203.0.114.66"


class DeadlyLocator(Locator):
    """Ends the process at one address, as a fault in a reader written in C would; each death is a byte in a file."""

    def locate(self, ip: str | None) -> Lookup:
        """Look the address up, or die of it."""
        if ip == DEADLY_ADDRESS:
            with Path(os.environ["TEST_HOST_FOLDER"], "deaths").open("ab") as deaths:
                deaths.write(b"x")
            os._exit(9)
        return super().locate(ip)


def create_app() -> Flask:
    """Make the host."""
    app = create_plain_app()
    state_of(app).locator = DeadlyLocator()
    return app
