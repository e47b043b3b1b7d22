"""Downloads over HTTP that keep secrets with their host and end: limits of time and size, https all the way."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from ..errors import LocationUpdateError
from .providers import Offer, check_address, show_address

TIMEOUT_SECONDS = 30.0
#: A whole download; a server that sends a byte now and then passes every timeout of a read.
LONGEST_SECONDS = 3600.0
MOST_REDIRECTS = 5
_CHUNK_BYTES = 1 << 16
_MOST_CHECKSUM_BYTES = 1024
_AGENT = "melody_logs"

#: Gets the number of bytes that came and, if the server tells it, how many there will be.
OnProgress = Callable[[int, int | None], None]


class RefusedError(LocationUpdateError):
    """The server answered with an error; *status* is its code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was downloaded, and what the server says of its version."""

    checksum: str
    etag: str | None
    last_modified: str | None


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only; the credentials, an unredirected header, stay behind."""

    max_redirections = MOST_REDIRECTS

    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Follow the redirect unless it leads to what is no address."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            fp.close()
            raise LocationUpdateError(f'"{show_address(req.full_url)}" leads on to what is no address') from None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follow the redirect unless it leads to plain http; from this machine it may stay on this machine."""
        target = urljoin(req.full_url, newurl)
        # What raises in here leaves the answer to nobody.
        fp.close()
        if urlsplit(target).scheme != "https" and urlsplit(req.full_url).scheme == "https":
            raise LocationUpdateError(
                f'"{show_address(req.full_url)}" leads on to an address without https, which is not followed'
            )
        check_address(target)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def read_checksum(offer: Offer, *, timeout_seconds: float = TIMEOUT_SECONDS) -> str | None:
    """Return the SHA-256 that the offer names or that its provider tells, in hexadecimal; None if there is none.

    :raise LocationUpdateError: if the provider does not tell it.
    """
    if offer.checksum is not None or offer.checksum_address is None:
        return offer.checksum
    address = offer.checksum_address
    with _Explained(offer, address), _open(offer, address, {}, timeout_seconds) as answer:
        words = answer.read(_MOST_CHECKSUM_BYTES).decode("ascii", "replace").split()
    checksum = words[0].lower() if words else ""
    if len(checksum) != 64 or set(checksum) - set("0123456789abcdef"):
        raise LocationUpdateError(f"{offer.provider} answered with no checksum: try again later")
    return checksum


def download(
    offer: Offer,
    address: str,
    target: BinaryIO,
    *,
    most_bytes: int,
    conditions: Mapping[str, str],
    on_progress: OnProgress,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Download | None:
    """Write what lies at *address* to *target*; None if the server says that it has not changed.

    :param conditions: headers such as ``If-None-Match``.
    :raise RefusedError: if the server answers with an error.
    :raise LocationUpdateError: if it does not answer, breaks off, or sends more than *most_bytes*.
    """
    with _Explained(offer, address), _open(offer, address, conditions, timeout_seconds) as answer:
        if answer.status == http.client.NOT_MODIFIED:
            return None
        checksum = _copy(offer, answer, target, most_bytes, on_progress)
        return Download(checksum, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


def _copy(offer: Offer, answer: Any, target: BinaryIO, most_bytes: int, on_progress: OnProgress) -> str:
    # As http.client has read it: a length that is no number is none.
    whole = answer.length
    if whole is not None and whole > most_bytes:
        raise LocationUpdateError(_say_too_large(offer, most_bytes))
    digest = hashlib.sha256()
    came = 0
    end = time.monotonic() + LONGEST_SECONDS
    while chunk := answer.read1(_CHUNK_BYTES):
        came += len(chunk)
        if came > most_bytes:
            raise LocationUpdateError(_say_too_large(offer, most_bytes))
        if time.monotonic() > end:
            raise TimeoutError
        digest.update(chunk)
        target.write(chunk)
        on_progress(came, whole)
    if whole is not None and came < whole:
        raise http.client.IncompleteRead(b"", whole - came)
    return digest.hexdigest()


def _say_too_large(offer: Offer, most_bytes: int) -> str:
    megabytes = most_bytes // 1_000_000
    return (
        f"the file of {offer.provider} has more than {megabytes:,} MB; allow more with --max-megabytes if it is right"
    )


def _open(offer: Offer, address: str, conditions: Mapping[str, str], timeout_seconds: float) -> Any:
    request = urllib.request.Request(address, headers={"User-Agent": _AGENT, **conditions})
    if offer.credentials is not None:
        token = base64.b64encode(":".join(offer.credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    opener = urllib.request.OpenerDirector()
    # Not the usual set: that one also opens files and FTP servers, where a redirect may lead.
    for handler in (
        *(urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()),
        *(_CarefulRedirects(), _NotModified(), urllib.request.HTTPDefaultErrorHandler()),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener.open(request, timeout=timeout_seconds)


class _NotModified(urllib.request.BaseHandler):
    """Takes 304 for an answer, which urllib takes for an error."""

    handler_order = 400  # before the handler that raises

    def http_error_304(self, request: Any, answer: Any, code: int, message: str, headers: Any) -> Any:
        """Hand the answer on."""
        return answer


class _Explained:
    """Turns what may go wrong on the way into one sentence that names the remedy and no secret."""

    def __init__(self, offer: Offer, address: str) -> None:
        self._offer = offer
        self._shown = show_address(address)

    def __enter__(self) -> None:
        """Begin to watch."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            raise RefusedError(self._explain_status(error), error.code) from None
        # A name that no name service can be asked for is a ValueError.
        if isinstance(error, http.client.HTTPException | OSError | ValueError) and not _is_of_disk(error):
            raise LocationUpdateError(f'{self._explain(error)} ("{self._shown}")') from None

    def _explain_status(self, error: urllib.error.HTTPError) -> str:
        remedy = self._offer.remedies.get(error.code)
        if remedy is None:
            is_theirs = error.code >= 500
            remedy = "the fault is at their end: try again later" if is_theirs else "check the address"
        wait = error.headers.get("Retry-After", "") if error.headers else ""
        later = f" (in {wait} s)" if wait.isdigit() else ""
        return f'{self._offer.provider} answered {error.code}: {remedy}{later} ("{self._shown}")'

    def _explain(self, error: Exception) -> str:
        provider = self._offer.provider
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            return f"{provider} does not answer in time: try again later"
        if isinstance(reason, http.client.IncompleteRead):
            return f"the download from {provider} broke off: try again"
        if isinstance(reason, ssl.SSLError):
            return f"the certificate of {provider} is not trusted, or TLS failed: check the clock and the certificates"
        if isinstance(reason, socket.gaierror):
            return f"the name of {provider} is not known: check the address and the name service"
        return f"{provider} cannot be reached ({type(reason).__name__}): check network, proxy and firewall"


def _is_of_disk(error: BaseException) -> bool:
    """Say whether an error is one of writing the file, which names a file or has no room."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
    return isinstance(error, OSError) and error.errno in numbers
