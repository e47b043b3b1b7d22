"""The one host that is asked for a topic's certificates and confirmations: Amazon's, in the region of the topic."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections import deque
from datetime import UTC, datetime
from email.message import Message
from http.client import HTTPException
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .callback import CallRefused, forged

TIMEOUT_SECONDS = 5.0
_LARGEST_ANSWER_BYTES = 64 * 1024
#: Whoever sends forged messages makes this app ask Amazon no more often.
_MOST_FETCHES_A_MINUTE = 10
_MOST_CERTIFICATES = 16
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")


class AmazonHost:
    """The host of SNS in the region of *topic_arn*."""

    def __init__(self, topic_arn: str) -> None:
        _, partition, _, region, *_ = topic_arn.split(":")
        domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        self._origin = f"https://sns.{region}.{domain}"
        self._lock = threading.Lock()
        self._certificates: dict[str, x509.Certificate] = {}
        self._fetched_at: deque[float] = deque(maxlen=_MOST_FETCHES_A_MINUTE)

    def find_key(self, url: str) -> RSAPublicKey:
        """Give the key of the certificate at *url*; it is fetched once.

        :raise CallRefused: if the address is not one of Amazon's certificates, its host does not answer, or the
            certificate is not valid now.
        """
        path = url.removeprefix(self._origin)
        if path == url or not _CERTIFICATE_PATH.fullmatch(path):
            raise forged("the certificate of the signature is not at Amazon's host of the topic")
        certificate = self._certificates.get(path) or self._fetch_certificate(path)
        key = certificate.public_key()
        if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
            raise forged("the certificate of the signature is not valid now")
        if not isinstance(key, RSAPublicKey):
            raise forged("the certificate of the signature has no key of RSA")
        return key

    def fetch(self, path: str) -> bytes | None:
        """Ask the host for *path*; None if it does not answer as it should, or is asked too often."""
        now = time.monotonic()
        with self._lock:
            if len(self._fetched_at) == _MOST_FETCHES_A_MINUTE and now < self._fetched_at[0] + 60:
                return None
            self._fetched_at.append(now)
        try:
            # Made anew: it reads the environment's proxies.
            opener = urllib.request.build_opener(_NoRedirects)
            with opener.open(f"{self._origin}{path}", timeout=TIMEOUT_SECONDS) as answer:
                body: bytes = answer.read(_LARGEST_ANSWER_BYTES + 1)
        except (OSError, HTTPException):
            return None
        return body if len(body) <= _LARGEST_ANSWER_BYTES else None

    def _fetch_certificate(self, path: str) -> x509.Certificate:
        body = self.fetch(path)
        if body is None:
            raise CallRefused(503, "Amazon's host does not give the certificate of the signature at the moment")
        try:
            certificate = x509.load_pem_x509_certificate(body)
        except ValueError:
            raise CallRefused(503, "Amazon's host gives no certificate at the moment") from None
        with self._lock:
            if len(self._certificates) >= _MOST_CERTIFICATES:
                self._certificates.pop(next(iter(self._certificates)))
            self._certificates[path] = certificate
        return certificate


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow none: the host is the proof."""
