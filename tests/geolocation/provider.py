"""A server that offers location files as MaxMind and DB-IP say that theirs do, and answers wrongly when told to."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ACCOUNT, KEY = "123456", "licence-key-of-the-test"
LAST_MODIFIED = "Tue, 01 Sep 2026 10:00:00 GMT"


@dataclass
class Answer:
    """What a path answers; ``cut_bytes`` are missing at the end, ``hangs`` sends the headers and then nothing.

    ``ends`` closes the connection afterwards, for a body whose length is not told.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    needs_credentials: bool = False
    cut_bytes: int = 0
    hangs: bool = False
    is_chunked: bool = False
    ends: bool = False


@dataclass
class Request:
    """A request that came, with its headers."""

    path: str
    host: str
    authorization: str | None


class Provider:
    """The server: ``answers`` by path with query, ``requests`` that came, ``url`` by which it is reached."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.ending = threading.Event()

    def offer_maxmind(self, archive: bytes, edition: str = "GeoLite2-City", storage: str | None = None) -> None:
        """Offer an archive by the permalink of MaxMind, which leads on to *storage*, another host."""
        base = f"/geoip/databases/{edition}/download?suffix=tar.gz"
        place = f"/storage/{edition}.tar.gz?signature=signed"
        checksum = f"{hashlib.sha256(archive).hexdigest()}  {edition}_20260901.tar.gz\n".encode()
        leads_on = {"Location": f"{storage or self.url}{place}"}
        self.answers[base] = Answer(status=302, headers=leads_on, needs_credentials=True)
        self.answers[f"{base}.sha256"] = Answer(checksum, needs_credentials=True)
        self.answers[place] = Answer(archive, headers={"Last-Modified": LAST_MODIFIED})

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]


@contextmanager
def providing(name: str = "127.0.0.1") -> Iterator[Provider]:
    """Run a provider on a free port of this machine, reached by *name*."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    provider = Provider(f"http://{name}:{server.server_port}")
    server.provider = provider  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="test-provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        provider: Provider = self.server.provider  # type: ignore[attr-defined]
        authorization = self.headers.get("Authorization")
        provider.requests.append(Request(self.path, self.headers["Host"], authorization))
        answer = provider.answers.get(self.path, Answer(b"not found", 404))
        right = f"Basic {base64.b64encode(f'{ACCOUNT}:{KEY}'.encode()).decode()}"
        if answer.needs_credentials and authorization != right:
            answer = Answer(b"Invalid license key\n", 401)
        wanted = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
        known = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        if answer.status == 200 and any(given and given == held for given, held in zip(wanted, known, strict=True)):
            answer = Answer(status=304)
        # Who has heard enough hangs up.
        with suppress(ConnectionError):
            self._send(answer, provider)

    def _send(self, answer: Answer, provider: Provider) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.status != 304 and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = answer.body[: len(answer.body) - answer.cut_bytes]
        self.wfile.flush()
        if answer.hangs:
            provider.ending.wait()
        elif answer.is_chunked:
            self.wfile.write(
                f"{len(body):x}\r\n".encode() + body + b"\r\n" + (b"" if answer.cut_bytes else b"0\r\n\r\n")
            )
        else:
            self.wfile.write(body)
        if answer.cut_bytes or answer.hangs or answer.ends:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def pack(members: dict[str, bytes], *, links: dict[str, str] | None = None) -> bytes:
    """Make a tar.gz of files, after links by name and target."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def pack_as_maxmind(database: bytes, edition: str = "GeoLite2-City") -> bytes:
    """Make the archive as MaxMind does: a dated folder with the licence and the file."""
    folder = f"{edition}_20260901"
    return pack({f"{folder}/COPYRIGHT.txt": b"Database and Contents Copyright", f"{folder}/{edition}.mmdb": database})


def pack_with_headers(headers: dict[str, str], *, times: int = 1) -> bytes:
    """Make a tar.gz of a file before which extended headers stand, so many times one after the other."""
    member = tarfile.TarInfo("x.mmdb")
    member.pax_headers = headers
    whole = member.tobuf(tarfile.PAX_FORMAT)
    extended, plain = whole[: -tarfile.BLOCKSIZE], whole[-tarfile.BLOCKSIZE :]
    return gzip.compress(extended * times + plain + bytes(tarfile.RECORDSIZE))


def zeros(count: int) -> bytes:
    """Make gzip of so many zeros: about a thousandth of that."""
    return gzip.compress(bytes(count))


def is_served_by(request: Request, provider: Provider) -> bool:
    """Say whether a request named this provider as its host."""
    return request.host == urlsplit(provider.url).netloc
