"""Requests to the demo's own processes, which never go through a proxy that the environment names."""

from __future__ import annotations

import urllib.request
from typing import Any


def open_loopback(request: urllib.request.Request | str, *, timeout_seconds: float) -> Any:
    """Open a loopback address; the answer closes itself at the end of a ``with`` block.

    :raise OSError: if nobody answers, or the answer is an error (``urllib.error.HTTPError``).
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=timeout_seconds)
