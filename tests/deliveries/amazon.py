"""Amazon's host of SNS, as far as it is asked: certificates and confirmations, behind TLS, reached by a proxy."""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask, Response, abort, redirect, request

from tests.deliveries.conftest import TOPIC
from tests.servers.tls import Authority, hand_on, tls_in_front_of
from tests.servers.web import serving

HOST_NAME = "sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"https://{HOST_NAME}/SimpleNotificationService-0123456789abcdef.pem"
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class Amazon:
    """Signs messages, and answers as Amazon's host."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = make_certificate(self.key)
        self.asked: list[str] = []
        self.confirmed: list[dict[str, str]] = []
        self.is_broken = False
        self.app = Flask("amazon")
        self.app.add_url_rule("/<name>", "certificate", self._give_certificate)
        self.app.add_url_rule("/", "confirm", self._confirm)

    def _give_certificate(self, name: str) -> Any:
        self.asked.append(name)
        if self.is_broken:
            abort(503)
        if "Redirected" in name:
            return redirect(f"https://evil.example/{name}")
        return Response(b"x" * 100_000 if "Huge" in name else b"no PEM" if "Text" in name else self.certificate)

    def _confirm(self) -> str:
        if self.is_broken:
            abort(500)
        self.confirmed.append(request.args.to_dict())
        return "<ConfirmSubscriptionResponse/>"

    def sign(self, message: object = "", *, version: str = "2", key: Any = None, **changes: Any) -> dict[str, Any]:
        """Make the call of a notification, or with a *Type* of what belongs to a subscription."""
        text = message if isinstance(message, str) else json.dumps(message)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        envelope: dict[str, Any] = {"Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": TOPIC}
        envelope |= {"Message": text, "Timestamp": moment, "SignatureVersion": version, "SigningCertURL": CERTIFICATE}
        envelope |= changes
        names = _NOTIFICATION if envelope["Type"] == "Notification" else _SUBSCRIPTION
        lines = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
        algorithm: hashes.HashAlgorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = (key or self.key).sign(lines.encode(), padding.PKCS1v15(), algorithm)
        envelope["Signature"] = base64.b64encode(signature).decode()
        # SNS says so, though it is JSON.
        return {"content": json.dumps(envelope).encode(), "headers": {"Content-Type": "text/plain; charset=UTF-8"}}


def make_certificate(key: Any, *, days: int = 1) -> bytes:
    """Make a certificate that is valid from the day before for *days* from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=30))
    certificate = builder.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM)


@contextmanager
def amazon_behind_proxy(folder: Path, *, host_name: str = HOST_NAME) -> Iterator[tuple[Amazon, dict[str, str]]]:
    """Serve Amazon's host with a certificate for *host_name*; yield it, and the environment that leads to it."""
    amazon, authority = Amazon(), Authority(folder / "authority", host_name=host_name)
    with ExitStack() as stack:
        plain = int(stack.enter_context(serving(amazon.app)).rpartition(":")[2])
        port = stack.enter_context(tls_in_front_of(plain, authority))
        proxy = stack.enter_context(_proxy_to(port))
        yield amazon, {"https_proxy": f"http://127.0.0.1:{proxy}", "SSL_CERT_FILE": str(authority.ca), "no_proxy": ""}


@contextmanager
def _proxy_to(port: int) -> Iterator[int]:
    """Listen as a proxy that leads each CONNECT for Amazon's host to *port*, and no other."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            if not asked.startswith(f"CONNECT {HOST_NAME}:443 ".encode()):
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", port)) as server:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=hand_on, args=(server, self.connection), daemon=True)
                back.start()
                hand_on(self.connection, server)
                back.join()

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Listener(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, name="test-proxy", daemon=True).start()
        yield listener.server_address[1]
        listener.shutdown()
