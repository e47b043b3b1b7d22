"""API clients and their secrets.

A secret is 256 random bits, so it is stored as a plain SHA-256: nobody can try 2^256 of them, and a slow hash, which
makes people's passwords costly to guess, would only let strangers keep the token endpoint busy.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError

from ..errors import MelodyLogsError
from ..storage.database import Database
from ..storage.models import Client, ClientSecret
from ..vocabulary import SCOPES

logger = logging.getLogger("melody_logs")

LONGEST_NAME = 255
#: A client changes over from its old secret to the new one; two work meanwhile, never more.
LIVE_SECRETS = 2
DEFAULT_GRACE = timedelta(hours=24)
#: ``last_used_at`` is only this exact, so that asking for a token is nearly always one read.
USE_NOTED_EVERY = timedelta(hours=1)

_CLIENTS: Any = Client.__table__
_SECRETS: Any = ClientSecret.__table__
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,48}", re.ASCII)


class ClientError(MelodyLogsError):
    """A client cannot be made, found or changed; the message names it and what is accepted."""


@dataclass(frozen=True, slots=True)
class NewClient:
    """What the operator hands to a client; *client_secret* is shown this once."""

    client_id: str
    client_secret: str
    scope: str


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as it is listed. *secrets* counts those that work now."""

    client_id: str
    name: str
    scope: str
    created_at: datetime
    disabled_at: datetime | None
    last_used_at: datetime | None
    secrets: int

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes it may ask for."""
        return tuple(self.scope.split())


def create_client(database: Database, name: str, scopes: Sequence[str]) -> NewClient:
    """Make a client that may ask for *scopes*.

    :raise ClientError: for a name that is empty or too long, and for no or an unknown scope.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ClientError(f'"name" is {name!r}; accepted: 1 to {LONGEST_NAME} printable characters')
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise ClientError(f'"scope" is {" ".join(scopes)!r}; accepted: one or more of {", ".join(SCOPES)}')
    made = NewClient(f"mlc_{secrets.token_hex(12)}", _new_secret(), " ".join(dict.fromkeys(scopes)))
    with database.write() as connection:
        now = database.now(connection)
        values = {"client_id": made.client_id, "name": name, "scope": made.scope, "created_at": now}
        connection.execute(insert(_CLIENTS).values(values))
        _add_secret(connection, made, now)
    return made


def list_clients(database: Database) -> list[ClientRow]:
    """List every client, oldest first."""
    with database.read() as connection:
        now = database.now(connection)
        joined = _CLIENTS.outerjoin(_SECRETS, _live_secrets(now))
        rows = connection.execute(select(*_CLIENT_COLUMNS, _SECRETS.c.secret_hash).select_from(joined)).all()
    listed: dict[str, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (row.created_at, row.client_id)):
        listed.setdefault(row.client_id, []).append(row)
    return [_client_row(group) for group in listed.values()]


def rotate_secret(database: Database, client_id: str, *, grace: timedelta = DEFAULT_GRACE) -> NewClient:
    """Give a client a new secret; the one before it works for *grace* more, any older one ends at once.

    :raise ClientError: if there is no such client, or it is disabled.
    """
    with database.write() as connection:
        now = database.now(connection)
        client = _find(connection, client_id)
        if client.disabled_at is not None:
            raise ClientError(f'the client "{client_id}" is disabled: create a new one')
        live = select(_SECRETS.c.id, _SECRETS.c.expires_at).where(_SECRETS.c.client_id == client_id)
        live = live.where(_not_expired(now)).order_by(_SECRETS.c.id.desc()).limit(LIVE_SECRETS - 1)
        kept = connection.execute(live).all()
        connection.execute(
            delete(_SECRETS).where(_SECRETS.c.client_id == client_id, _SECRETS.c.id.not_in([row.id for row in kept]))
        )
        for row in kept:
            end = min(row.expires_at or now + grace, now + grace)
            connection.execute(update(_SECRETS).where(_SECRETS.c.id == row.id).values(expires_at=end))
        made = NewClient(client_id, _new_secret(), client.scope)
        _add_secret(connection, made, now)
    return made


def disable_client(database: Database, client_id: str) -> None:
    """Refuse a client from now on; its tokens end within a minute. Disabling it twice changes nothing.

    :raise ClientError: if there is no such client.
    """
    with database.write() as connection:
        _find(connection, client_id)
        enabled = and_(_CLIENTS.c.client_id == client_id, _CLIENTS.c.disabled_at.is_(None))
        connection.execute(update(_CLIENTS).where(enabled).values(disabled_at=database.now(connection)))


def authenticate(database: Database, client_id: str, secret: str) -> ClientRow | None:
    """Check a client's secret; None if client or secret is wrong, or the client is disabled.

    The same statement runs and the same hashes are compared whether or not the client exists.
    """
    sought = client_id if _CLIENT_ID.fullmatch(client_id) else ""
    with database.read() as connection:
        now = database.now(connection)
        joined = _CLIENTS.outerjoin(_SECRETS, _live_secrets(now))
        statement = select(*_CLIENT_COLUMNS, _SECRETS.c.secret_hash).select_from(joined)
        rows = connection.execute(statement.where(_CLIENTS.c.client_id == sought).limit(LIVE_SECRETS)).all()
    given = _hash(secret)
    hashes = [row.secret_hash or "" for row in rows] + [""] * (LIVE_SECRETS - len(rows))
    matches = sum([hmac.compare_digest(given, stored) for stored in hashes])
    # Exactly: some databases compare text without regard to case.
    if not matches or rows[0].client_id != client_id or rows[0].disabled_at is not None:
        return None
    client = _client_row(rows)
    _note_use(database, client, now)
    return client


def is_active(database: Database, client_id: str) -> bool:
    """Say whether the client exists and is not disabled."""
    statement = select(_CLIENTS.c.client_id).where(_CLIENTS.c.client_id == client_id, _CLIENTS.c.disabled_at.is_(None))
    with database.read() as connection:
        return connection.execute(statement).first() is not None


_CLIENT_COLUMNS = [
    _CLIENTS.c[name] for name in ("client_id", "name", "scope", "created_at", "disabled_at", "last_used_at")
]


def _client_row(rows: Sequence[Any]) -> ClientRow:
    """Join the rows of one client, one for each of its secrets."""
    values = rows[0]._asdict()
    values["secrets"] = sum(row.secret_hash is not None for row in rows)
    del values["secret_hash"]
    return ClientRow(**values)


def _find(connection: Connection, client_id: str) -> Row[Any]:
    found = None
    if _CLIENT_ID.fullmatch(client_id):
        found = connection.execute(select(*_CLIENT_COLUMNS).where(_CLIENTS.c.client_id == client_id)).first()
    if found is None:
        raise ClientError(f'there is no client "{client_id}"; "flask melody-logs client list" shows those there are')
    return found


def _new_secret() -> str:
    # The prefix lets secret scanners recognise one that was published by mistake.
    return f"mls_{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _add_secret(connection: Connection, made: NewClient, now: datetime) -> None:
    values = {"client_id": made.client_id, "secret_hash": _hash(made.client_secret), "created_at": now}
    connection.execute(insert(_SECRETS).values(values))


def _not_expired(now: datetime) -> Any:
    return or_(_SECRETS.c.expires_at.is_(None), _SECRETS.c.expires_at > now)


def _live_secrets(now: datetime) -> Any:
    return and_(_SECRETS.c.client_id == _CLIENTS.c.client_id, _not_expired(now))


def _note_use(database: Database, client: ClientRow, now: datetime) -> None:
    if client.last_used_at is not None and now - client.last_used_at < USE_NOTED_EVERY:
        return
    try:
        with database.transaction() as connection:
            mine = _CLIENTS.c.client_id == client.client_id
            connection.execute(update(_CLIENTS).where(mine).values(last_used_at=now))
    except DBAPIError as error:
        # A busy database is no reason to refuse the client.
        logger.warning('could not note that the client "%s" was used: %s', client.client_id, error)
