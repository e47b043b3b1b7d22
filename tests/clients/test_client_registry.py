"""Clients and their secrets, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from melody_logs.clients.registry import (
    ClientError,
    authenticate,
    create_client,
    disable_client,
    list_clients,
    rotate_secret,
)
from melody_logs.storage.database import Database
from melody_logs.storage.models import Client, ClientSecret
from tests.storage.rows import make_database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A log database with its tables."""
    made = make_database(database_url)
    yield made
    made.close()


def test_client_is_known_by_its_secret_and_by_no_other(database: Database) -> None:
    made = create_client(database, "billing", ["root"])
    found = authenticate(database, made.client_id, made.client_secret)
    assert found is not None
    assert (found.client_id, found.name, found.scopes) == (made.client_id, "billing", ("root",))
    assert authenticate(database, made.client_id, made.client_secret + "x") is None
    assert authenticate(database, made.client_id, "") is None
    assert authenticate(database, made.client_id.upper(), made.client_secret) is None


def test_secret_has_256_bits_and_stands_nowhere_in_the_tables(database: Database) -> None:
    made = create_client(database, "billing", ["root"])
    assert len(made.client_secret.removeprefix("mls_")) == 43
    tables: list[Any] = [Client.__table__, ClientSecret.__table__]
    with database.read() as connection:
        dump = repr([connection.execute(select(table)).all() for table in tables])
    assert made.client_id in dump
    assert made.client_secret not in dump and made.client_secret.removeprefix("mls_") not in dump


@pytest.mark.parametrize("client_id", ["", "nobody", "a\0b", "\ud800", "' OR 1=1 --", "x" * 10_000])
def test_unknown_client_is_refused_without_an_error(database: Database, client_id: str) -> None:
    assert authenticate(database, client_id, "secret\0\ud800") is None


def test_unknown_client_costs_the_same_statements_as_a_wrong_secret(database: Database) -> None:
    """Nobody learns from the time of an answer which clients there are."""
    made = create_client(database, "billing", ["root"])
    authenticate(database, made.client_id, "wrong")  # so that the session has its limits
    statements: list[str] = []

    def remember(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", remember)
    authenticate(database, made.client_id, "wrong")
    known = list(statements)
    statements.clear()
    authenticate(database, "nobody", "wrong")
    event.remove(database.engine, "before_cursor_execute", remember)
    assert known and statements == known


def test_rotation_leaves_the_last_two_secrets_alive(database: Database) -> None:
    first = create_client(database, "billing", ["root"])
    second = rotate_secret(database, first.client_id)
    assert authenticate(database, first.client_id, first.client_secret) is not None
    third = rotate_secret(database, first.client_id)
    works = [authenticate(database, made.client_id, made.client_secret) for made in (first, second, third)]
    assert [client is not None for client in works] == [False, True, True]
    assert [row.secrets for row in list_clients(database)] == [2]


def test_old_secret_ends_when_its_grace_is_over(database: Database) -> None:
    first = create_client(database, "billing", ["root"])
    second = rotate_secret(database, first.client_id, grace=timedelta())
    assert authenticate(database, first.client_id, first.client_secret) is None
    assert authenticate(database, first.client_id, second.client_secret) is not None


def test_grace_of_the_secret_before_counts_from_the_rotation(database: Database) -> None:
    first = create_client(database, "billing", ["root"])
    rotate_secret(database, first.client_id, grace=timedelta(hours=3))
    table: Any = ClientSecret.__table__
    with database.read() as connection:
        old, new = connection.scalars(select(table.c.expires_at).order_by(table.c.id)).all()
        left = old - database.now(connection)
    assert new is None
    assert timedelta(hours=2, minutes=55) < left <= timedelta(hours=3)


def test_disabled_client_is_refused_and_cannot_be_rotated(database: Database) -> None:
    made = create_client(database, "billing", ["root"])
    disable_client(database, made.client_id)
    disable_client(database, made.client_id)
    assert authenticate(database, made.client_id, made.client_secret) is None
    with pytest.raises(ClientError, match=f'"{made.client_id}" is disabled'):
        rotate_secret(database, made.client_id)


def test_list_shows_every_client_and_when_it_was_used(database: Database) -> None:
    billing = create_client(database, "billing", ["root"])
    create_client(database, "  SIEM   export ", ["read_log", "write_log", "read_log"])
    authenticate(database, billing.client_id, billing.client_secret)
    first, second = list_clients(database)
    assert (first.name, first.secrets, first.disabled_at) == ("billing", 1, None)
    assert first.last_used_at is not None and second.last_used_at is None
    assert (second.name, second.scope) == ("SIEM export", "read_log write_log")


@pytest.mark.parametrize("scopes", [[], ["rootless"], ["root", "Root"]])
def test_unknown_scope_is_refused_with_those_there_are(database: Database, scopes: list[str]) -> None:
    with pytest.raises(ClientError, match=r'"scope" is .*accepted: one or more of root, read_log, write_log'):
        create_client(database, "billing", scopes)


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\x1bb"])
def test_bad_name_is_refused(database: Database, name: str) -> None:
    with pytest.raises(ClientError, match='"name" is'):
        create_client(database, name, ["root"])


def test_change_of_an_unknown_client_names_it(database: Database) -> None:
    for change in (rotate_secret, disable_client):
        with pytest.raises(ClientError, match='there is no client "mlc_none"'):
            change(database, "mlc_none")
