"""Signing keys: made once, encrypted at rest, rotated without breaking a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from melody_logs.clients.keys import SigningKeys
from melody_logs.clients.registry import create_client
from melody_logs.clients.tokens import TokenAuthority
from melody_logs.errors import ConfigurationError
from melody_logs.secret_keys import derive_key
from melody_logs.storage.database import Database
from melody_logs.storage.models import SigningKey
from tests.storage.rows import make_database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A log database with its tables."""
    made = make_database(database_url)
    yield made
    made.close()


def derive_from(secret: str) -> Callable[[str], bytes]:
    return lambda purpose: derive_key(secret, purpose)


def make_authority(database: Database) -> TokenAuthority:
    """Make what another process of the same app has: nothing cached."""
    return TokenAuthority(database, derive_from("one"), audience="/api/v1/logs", lifetime_seconds=900)


def stored_keys(database: Database) -> list[Any]:
    table: Any = SigningKey.__table__
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.created_at)))


def test_processes_that_start_at_once_share_one_key(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        kids = set(pool.map(lambda _: SigningKeys(database, derive_from("one")).signing_key().kid, range(4)))
    assert kids == {row.kid for row in stored_keys(database)}
    assert len(kids) == 1


def test_private_part_is_not_readable_in_the_table(database: Database) -> None:
    private = SigningKeys(database, derive_from("one")).signing_key().as_dict(private=True)["d"]
    dump = repr(stored_keys(database))
    assert str(private) not in dump
    assert '"d"' not in stored_keys(database)[0].public_jwk


def test_published_keys_are_public_only(database: Database) -> None:
    (published,) = SigningKeys(database, derive_from("one")).public_key_set()["keys"]
    assert {"kty", "crv", "x", "y", "kid", "use", "alg"} == set(published)
    assert (published["kty"], published["alg"], published["use"]) == ("EC", "ES256", "sig")
    json.dumps(published)


def test_changed_secret_is_named_with_its_remedy(database: Database) -> None:
    SigningKeys(database, derive_from("one")).signing_key()
    with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_KEY" \(or "SECRET_KEY".*put the earlier value back'):
        SigningKeys(database, derive_from("another")).signing_key()


def test_remedy_of_a_changed_secret_works(database: Database) -> None:
    SigningKeys(database, derive_from("one")).signing_key()
    table: Any = SigningKey.__table__
    with database.write() as connection:
        connection.execute(table.delete())
    assert SigningKeys(database, derive_from("another")).signing_key().kid is not None


def test_rotation_signs_with_a_new_key_and_keeps_old_tokens_good(database: Database) -> None:
    client_id = create_client(database, "billing", ["root"]).client_id
    authority = make_authority(database)
    before = authority.issue_token(client_id, "root").access_token
    new_kid = authority.keys.rotate()
    assert authority.keys.signing_key().kid == new_kid
    after = authority.issue_token(client_id, "root").access_token
    for token in (before, after):
        assert make_authority(database).verify_token(token).client_id == client_id
    assert len(authority.keys.public_key_set()["keys"]) == 2


def test_process_that_cached_the_keys_accepts_a_key_made_after(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token signed with a fresh key is good everywhere at once, not a minute later."""
    client_id = create_client(database, "billing", ["root"]).client_id
    elsewhere, here = make_authority(database), make_authority(database)
    here.verify_token(elsewhere.issue_token(client_id, "root").access_token)
    elsewhere.keys.rotate()
    monkeypatch.setattr("melody_logs.clients.keys.UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    assert here.verify_token(elsewhere.issue_token(client_id, "root").access_token).client_id == client_id
