"""A real SMTP server in a process of its own: one a test process, with no mail at the start of each test."""

from __future__ import annotations

import email
import email.policy
import json
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from .processes import Process, free_port

PROGRAM = Path(__file__).with_name("smtp_program.py")


class SmtpServer:
    """The server: what it took, and where it listens. See ``smtp_program`` for whom it refuses."""

    host = "127.0.0.1"

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.lmtp_port = port + 1
        self._seen = 0

    def forget(self) -> None:
        """Begin anew."""
        self._seen = len(self._lines())

    def list_envelopes(self) -> list[dict[str, Any]]:
        """The mails taken since the test began, in their order: ``from``, ``to``, ``data``."""
        return [json.loads(line) for line in self._lines()[self._seen :]]

    def list_mails(self) -> list[EmailMessage]:
        """The mails taken since the test began, parsed."""
        policy = email.policy.default
        return [email.message_from_string(each["data"], policy=policy) for each in self.list_envelopes()]

    def _lines(self) -> list[str]:
        return [line for line in self.process.output.splitlines() if line.startswith("{")]


@pytest.fixture(scope="session")
def smtp_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    """The server's process."""
    port = free_port()
    command = [sys.executable, str(PROGRAM), str(port)]
    with Process(command, folder=tmp_path_factory.mktemp("smtp"), name="smtp") as process:
        process.wait_for_output("ready")
        yield SmtpServer(process, port)


@pytest.fixture
def smtp_server(smtp_process: SmtpServer) -> SmtpServer:
    """A mail server that has taken nothing yet."""
    smtp_process.forget()
    return smtp_process
