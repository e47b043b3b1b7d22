"""What is deployed is what is published: the tests here run the installed wheel."""

from __future__ import annotations

from tests.guest.serving import start_server
from tests.packaging.conftest import installed_python, source, wheel

__all__ = ["installed_python", "source", "start_server", "wheel"]
