"""``flask melody-logs client ...`` as an operator types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from melody_logs.clients.registry import authenticate, list_clients
from melody_logs.state import state_of
from tests.hosts import close_host, make_host


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """A host with the commands."""
    made, _ = make_host(database_url, tmp_path=tmp_path)
    yield made
    close_host(made)


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["melody-logs", "client", *arguments])


def create(app: Flask, *arguments: str) -> dict[str, str]:
    result = run(app, "create", "billing", "--scope", "root", "--json", *arguments)
    assert result.exit_code == 0, result.output
    made: dict[str, str] = json.loads(result.output)
    return made


def test_create_prints_what_the_client_needs_as_json(app: Flask) -> None:
    made = create(app)
    assert set(made) == {"client_id", "client_secret", "scope"}
    assert made["scope"] == "root"
    assert authenticate(state_of(app).database, made["client_id"], made["client_secret"]) is not None


def test_create_says_that_the_secret_is_shown_once(app: Flask) -> None:
    result = run(app, "create", "SIEM", "--scope", "read_log", "--scope", "write_log")
    (row,) = list_clients(state_of(app).database)
    assert (row.name, row.scope) == ("SIEM", "read_log write_log")
    assert row.client_id in result.output and "mls_" in result.output
    assert "cannot be shown again" in result.output


def test_unknown_scope_is_refused_with_those_there_are(app: Flask) -> None:
    result = run(app, "create", "billing", "--scope", "rot")
    assert result.exit_code == 1
    assert "accepted: one or more of root, read_log, write_log" in result.output
    assert list_clients(state_of(app).database) == []


def test_scope_must_be_given(app: Flask) -> None:
    assert run(app, "create", "billing").exit_code == 2


def test_list_shows_clients_without_their_secrets(app: Flask) -> None:
    assert "client create NAME" in run(app, "list").output
    made = create(app)
    output = run(app, "list").output
    assert made["client_id"] in output and "billing" in output and "1 secret" in output
    assert made["client_secret"] not in output


def test_rotate_gives_a_second_secret_with_a_settable_grace(app: Flask) -> None:
    first = create(app)
    second = json.loads(run(app, "rotate", first["client_id"], "--json").output)
    database = state_of(app).database
    for made in (first, second):
        assert authenticate(database, made["client_id"], made["client_secret"]) is not None
    run(app, "rotate", first["client_id"], "--grace-hours", "0")
    assert authenticate(database, second["client_id"], second["client_secret"]) is None


def test_disable_shuts_a_client_out_and_the_list_says_so(app: Flask) -> None:
    made = create(app)
    assert run(app, "disable", made["client_id"]).exit_code == 0
    assert authenticate(state_of(app).database, made["client_id"], made["client_secret"]) is None
    assert "disabled" in run(app, "list").output


@pytest.mark.parametrize("command", ["rotate", "disable"])
def test_unknown_client_is_named(app: Flask, command: str) -> None:
    result = run(app, command, "mlc_none")
    assert result.exit_code == 1
    assert 'there is no client "mlc_none"' in result.output


def test_without_a_key_no_client_is_made_that_could_get_no_token(tmp_path: Path) -> None:
    app, _ = make_host(tmp_path=tmp_path, SECRET_KEY=None)
    result = app.test_cli_runner().invoke(args=["melody-logs", "client", "create", "backend", "--scope", "root"])
    assert result.exit_code == 1
    assert '"MELODY_LOGS_KEY"' in result.output and '"SECRET_KEY"' in result.output
    assert list_clients(state_of(app).database) == []
    close_host(app)
