"""Stands in for the outside world: an SMTP server and a text-message provider that keep what they are sent.

The newest 200 messages are kept in memory. An address that begins with ``full@`` has a full mailbox, a phone
number that ends with ``000`` is unknown to the provider: so that failures can be seen too.
"""

from __future__ import annotations

import email
import email.policy
import hmac
import itertools
import json
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

KEPT_MESSAGES = 200
LONGEST_BODY_BYTES = 1_000_000
HOST = "127.0.0.1"


class Catcher:
    """An SMTP server and an HTTP text-message provider on free loopback ports, each in a thread.

    The provider takes ``POST /messages`` with JSON ``{"to": ..., "body": ...}`` and lists what both have received at
    ``GET /messages``; both ask for ``Authorization: Bearer KEY``.
    """

    def __init__(self, provider_key: str) -> None:
        self._provider_key = provider_key
        self._messages: deque[dict[str, Any]] = deque(maxlen=KEPT_MESSAGES)
        self._numbers = itertools.count(1)
        self._smtp: Any = None
        self._http: ThreadingHTTPServer | None = None

    def start(self, smtp_port: int = 0, provider_port: int = 0) -> tuple[int, int]:
        """Listen; return the ports of SMTP and of the provider."""
        self._smtp = _SmtpServer(self, hostname=HOST, port=smtp_port, ready_timeout=10, ident="demo")
        self._smtp.start()
        self._http = _make_provider(self, provider_port)
        threading.Thread(target=self._http.serve_forever, name="demo-provider", daemon=True).start()
        return self._smtp.port, self._http.server_port

    def stop(self) -> None:
        """Close both servers."""
        if self._smtp is not None:
            self._smtp.stop(no_assert=True)
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()

    def list_messages(self) -> list[dict[str, Any]]:
        """The messages received, newest first."""
        return list(reversed(list(self._messages)))

    def accepts(self, authorization: str) -> bool:
        """Say whether a request's Authorization header carries the provider's key."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._provider_key}".encode())

    def receive_text(self, message: Mapping[str, Any]) -> tuple[HTTPStatus, dict[str, Any]]:
        """Take a text message as the provider does; return its answer."""
        to, body = message.get("to"), message.get("body")
        if not isinstance(to, str) or not isinstance(body, str):
            return HTTPStatus.BAD_REQUEST, {"code": 21602, "message": '"to" and "body" must be text'}
        if to.endswith("000"):
            return HTTPStatus.BAD_REQUEST, {"code": 21211, "message": f"The number {to} is not valid"}
        number = self._keep(kind="sms", to=to, subject="", text=body, html="")
        return HTTPStatus.CREATED, {"id": f"text-{number}", "status": "queued"}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Answer to the receiver of a mail (aiosmtpd's hook)."""
        if address.startswith("full@"):
            return "552 5.2.2 Mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep a mail (aiosmtpd's hook)."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
        texts = {kind: part.get_content() if part is not None else "" for kind, part in parts.items()}
        number = self._keep(
            kind="email",
            to=", ".join(envelope.rcpt_tos),
            subject=str(message["subject"] or ""),
            text=texts["plain"],
            html=texts["html"],
        )
        return f"250 2.0.0 OK: queued as {number}"

    def _keep(self, **message: Any) -> int:
        number = next(self._numbers)
        self._messages.append({"number": number, "received_at": datetime.now(UTC).isoformat(), **message})
        return number


class _SmtpServer(Controller):
    """aiosmtpd's controller, which by itself cannot take a port that the operating system chooses."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd has few types


def _make_provider(catcher: Catcher, port: int) -> ThreadingHTTPServer:
    class BoundProvider(_Provider):
        pass

    BoundProvider.catcher = catcher
    server = ThreadingHTTPServer((HOST, port), BoundProvider)
    server.daemon_threads = True
    return server


class _Provider(BaseHTTPRequestHandler):
    """The HTTP side of the text-message provider."""

    catcher: Catcher
    timeout = 10

    def do_GET(self) -> None:
        """List what was received."""
        if self._is_allowed():
            self._answer(HTTPStatus.OK, {"messages": self.catcher.list_messages()})

    def do_POST(self) -> None:
        """Take a text message."""
        if not self._is_allowed():
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_BODY_BYTES:
            self._answer(HTTPStatus.BAD_REQUEST, {"code": 21617, "message": "a body of at most 1 MB is needed"})
            return
        try:
            message = json.loads(self.rfile.read(int(length)))
        except ValueError:
            message = None
        self._answer(*self.catcher.receive_text(message if isinstance(message, dict) else {}))

    def _is_allowed(self) -> bool:
        if self.path == "/messages" and self.catcher.accepts(self.headers.get("Authorization", "")):
            return True
        self._answer(HTTPStatus.UNAUTHORIZED, {"code": 20003, "message": "unknown path or wrong key"})
        return False

    def _answer(self, status: HTTPStatus, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: the supervisor's terminal is for people."""
