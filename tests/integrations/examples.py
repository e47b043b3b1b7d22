"""The apps in examples/, each served over HTTP, and a visitor of them."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from flask import Flask

from melody_logs.state import state_of
from tests.storage.rows import read_all

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


class Example:
    """An example as its file makes it, and a browser's worth of HTTP to visit it."""

    def __init__(self, name: str, serve: Callable[[Flask], str]) -> None:
        self.names: dict[str, Any] = runpy.run_path(str(EXAMPLES / f"{name}.py"))
        self.app: Flask = self.names["app"]
        self.visitor = httpx.Client(base_url=serve(self.app), follow_redirects=True)

    def post_form(self, path: str, **fields: str) -> httpx.Response:
        """Open a page and send its form, with the token that stands in it."""
        page = self.visitor.get(path)
        (token, *_) = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page.text) or [""]
        return self.visitor.post(page.url, data={"csrf_token": token, **fields}, headers={"Referer": str(page.url)})

    def told(self) -> list[tuple[Any, ...]]:
        """Read what the sign-in log tells of each attempt."""
        return [(row.event, row.outcome, row.reason, row.method, row.identity) for row in self.rows("sign-in")]

    def rows(self, kind: Any) -> list[Any]:
        """Read a log."""
        return read_all(state_of(self.app).database, kind)

    def read_files(self) -> bytes:
        """Read spool and database as they lie on the disk."""
        state = state_of(self.app)
        folder = Path(str(state.database.url.database)).parent
        files = [
            path.read_bytes() for path in (*folder.rglob("*"), *state.spool.directory.rglob("*")) if path.is_file()
        ]
        assert files
        return b"".join(files)

    def close(self) -> None:
        """End the app."""
        self.visitor.close()
        state_of(self.app).drain_thread.stop(5)
        state_of(self.app).database.close()
