"""TLS in front of a test server, as stunnel or a cloud's proxy puts it there, with a certificate authority of ours."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HOST_NAME = "localhost"
#: What a client of PostgreSQL sends before TLS: its length, and a number that stands for the wish (protocol, 54.7).
POSTGRESQL_TLS_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


#: Python 3.13 and newer ask for it, and for the identifiers of the keys.
_MAY_SIGN = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    **dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False),
    **dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False),
)


class Authority:
    """A certificate authority in *folder*: ``ca`` for clients; ``chain`` and ``key`` for a server *host_name*."""

    def __init__(self, folder: Path, name: str = "Test authority", *, host_name: str = HOST_NAME) -> None:
        folder.mkdir()
        self.ca, self.chain, self.key = (folder / file for file in ("ca.pem", "server.pem", "server.key"))
        authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = _named(name)
        root = (
            _begin(issuer, issuer, authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_MAY_SIGN, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        server = (
            _begin(_named(host_name), issuer, server_key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        self.ca.write_bytes(root.public_bytes(Encoding.PEM))
        self.chain.write_bytes(server.public_bytes(Encoding.PEM))
        self.key.write_bytes(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )


@contextmanager
def tls_in_front_of(port: int, authority: Authority, *, postgresql: bool = False) -> Iterator[int]:
    """Listen on a free loopback port, speak nothing but TLS there, and hand what comes to *port*; yield the free one.

    :param postgresql: clients ask for TLS first, as PostgreSQL's do; who does not is sent away.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.chain, authority.key)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                if postgresql:
                    if self.request.recv(8, socket.MSG_WAITALL) != POSTGRESQL_TLS_REQUEST:
                        return
                    self.request.sendall(b"S")
                with context.wrap_socket(self.request, server_side=True) as client:
                    back = threading.Thread(target=hand_on, args=(server, client), daemon=True)
                    back.start()
                    hand_on(client, server)
                    back.join()

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Listener(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, name="test-tls", daemon=True).start()
        yield listener.server_address[1]
        listener.shutdown()


def hand_on(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, until one side ends; then end the other."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
