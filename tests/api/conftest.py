"""A host with the API, and a caller that has a token."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from melody_logs.clients.registry import NewClient, create_client
from melody_logs.state import state_of
from melody_logs.storage.database import Database
from tests.hosts import close_host, make_host


@dataclass
class Api:
    """Calls the API of a host as its clients do."""

    app: Flask
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The log database of the host."""
        return state_of(self.app).database

    def ask_token(self, client: NewClient, scope: str = "root", **options: Any) -> TestResponse:
        """Ask for a token as the contract has it."""
        basic = b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
        data = {"grant_type": "client_credentials", "scope": scope}
        headers = {"Authorization": f"Basic {basic}"}
        return self.app.test_client().post("/oauth2/v1/token", **({"data": data, "headers": headers} | options))

    def token(self, scope: str = "root") -> str:
        """Give a token with a scope, of a client of its own."""
        if scope not in self.tokens:
            client = create_client(self.database, f"test {scope}", scope.split())
            self.tokens[scope] = self.ask_token(client, scope).json["access_token"]  # type: ignore[index]
        return self.tokens[scope]

    def call(self, method: str, path: str, *, scope: str = "root", **options: Any) -> TestResponse:
        """Call a path below the prefix of the logs."""
        headers = {"Authorization": f"Bearer {self.token(scope)}"}
        return self.app.test_client().open(f"/api/v1/logs{path}", method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Call with GET."""
        return self.call("GET", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """Call with DELETE."""
        return self.call("DELETE", path, **options)


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    """The API of a host, on each database in turn."""
    app, _ = make_host(database_url, tmp_path=tmp_path)
    yield Api(app)
    close_host(app)


@pytest.fixture
def sqlite_api(sqlite_url: str, tmp_path: Path) -> Iterator[Api]:
    """The API of a host on SQLite: for what no database has a part in."""
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    yield Api(app)
    close_host(app)


def assert_problem(response: TestResponse, status: int, *parameters: str) -> dict[str, Any]:
    """Check that the answer is a problem that names the parameters, and return it."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    problem: dict[str, Any] = response.json  # type: ignore[assignment]
    assert {"type", "title", "status", "detail", "errors"} <= set(problem)
    assert problem["status"] == status
    assert [error["parameter"] for error in problem["errors"]] == list(parameters)
    return problem
