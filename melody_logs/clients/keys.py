"""The keys that sign access tokens: made once, shared by every process through the database, encrypted there."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from joserfc.jwk import ECKey
from sqlalchemy import Connection, and_, insert, or_, select, update

from ..errors import ConfigurationError
from ..storage.database import Database
from ..storage.models import SigningKey

ALGORITHM = "ES256"
CACHE_SECONDS = 60
#: An unknown key id may be a key that another process just made; forged ones must not mean a query each.
UNKNOWN_KEY_PAUSE_SECONDS = 1.0
#: A retired key stays published until the last token it may have signed has ended: the longest life of a token (one
#: day) and the minute for which other processes go on signing with it.
KEPT_AFTER_RETIREMENT = timedelta(hours=25)

_TABLE: Any = SigningKey.__table__


@dataclass(frozen=True, slots=True)
class _Keys:
    """The published keys as they were read: immutable, so that threads may share and replace it without a lock."""

    read_at: float = -1e9
    public: Mapping[str, ECKey] = field(default_factory=dict)
    signing_kid: str | None = None
    encrypted_private_jwk: str = ""


class SigningKeys:
    """The signing keys of one app, cached in the process for at most a minute.

    :param derive_key: gives the key under which the private parts are encrypted, from ``MELODY_LOGS_KEY`` or
        ``SECRET_KEY``.
    """

    def __init__(self, database: Database, derive_key: Callable[[str], bytes]) -> None:
        self._database = database
        self._derive_key = derive_key
        self._keys = _Keys()
        self._private: tuple[str, ECKey] | None = None

    def find_public(self, kid: object) -> ECKey | None:
        """Find the public key with an id, which may be anything a stranger wrote."""
        if not isinstance(kid, str):
            return None
        found = self._current(CACHE_SECONDS).public.get(kid)
        return found if found is not None else self._current(UNKNOWN_KEY_PAUSE_SECONDS).public.get(kid)

    def signing_key(self) -> ECKey:
        """Give the key that signs now; the first use ever makes it.

        :raise ConfigurationError: if it was encrypted under another ``MELODY_LOGS_KEY`` or ``SECRET_KEY``.
        """
        keys = self._ensured()
        assert keys.signing_kid is not None
        if self._private is None or self._private[0] != keys.signing_kid:
            self._private = (keys.signing_kid, self._decrypt(keys.signing_kid, keys.encrypted_private_jwk))
        return self._private[1]

    def check_private(self) -> None:
        """Check that the key that signs, if there is one yet, can be read.

        :raise ConfigurationError: as :meth:`signing_key`.
        """
        if self._current(CACHE_SECONDS).signing_kid is not None:
            self.signing_key()

    def public_key_set(self) -> dict[str, Any]:
        """Give the JSON Web Key Set (RFC 7517) of the keys whose tokens are accepted."""
        return {"keys": [key.as_dict(private=False) for key in self._ensured().public.values()]}

    def rotate(self) -> str:
        """Sign with a new key from now on, and keep the old ones published until their tokens have ended.

        :return: the id of the new key. Other processes sign with it within a minute.
        """
        with self._database.write() as connection:
            now = self._database.now(connection)
            connection.execute(update(_TABLE).where(_TABLE.c.retired_at.is_(None)).values(retired_at=now))
            kid = self._add_key(connection, now)
        self._keys = _Keys()
        return kid

    def _ensured(self) -> _Keys:
        keys = self._current(CACHE_SECONDS)
        if keys.signing_kid is not None:
            return keys
        with self._database.write() as connection:
            # Another process may have made it while this one waited for the lock.
            if connection.execute(select(_TABLE.c.kid).where(_TABLE.c.retired_at.is_(None))).first() is None:
                self._add_key(connection, self._database.now(connection))
        return self._current(0)

    def _current(self, most_seconds: float) -> _Keys:
        if time.monotonic() - self._keys.read_at >= most_seconds:
            self._keys = _read_keys(self._database)
        return self._keys

    def _add_key(self, connection: Connection, now: datetime) -> str:
        made = ECKey.generate_key("P-256")
        kid = made.thumbprint()
        published = {"kid": kid, "use": "sig", "alg": ALGORITHM}
        private = json.dumps(made.as_dict(private=True, **published))
        values = {
            "kid": kid,
            "algorithm": ALGORITHM,
            "public_jwk": json.dumps(made.as_dict(private=False, **published)),
            "encrypted_private_jwk": self._cipher().encrypt(private.encode()).decode(),
            "created_at": now,
        }
        connection.execute(insert(_TABLE).values(values))
        return kid

    def _cipher(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._derive_key("signing-keys")))

    def _decrypt(self, kid: str, encrypted: str) -> ECKey:
        try:
            return ECKey.import_key(json.loads(self._cipher().decrypt(encrypted.encode())))
        except InvalidToken:
            # The next request looks again: the remedy shall work at once, not when the cache has aged.
            self._keys = _Keys()
            raise ConfigurationError(
                f'the signing key "{kid}" was encrypted under another "MELODY_LOGS_KEY" (or "SECRET_KEY", where that '
                f'is not set): put the earlier value back, or delete the rows of "{_TABLE.name}", after which a new '
                "key is made and every client has to ask for a new token"
            ) from None


def _read_keys(database: Database) -> _Keys:
    read_at = time.monotonic()
    with database.read() as connection:
        oldest = database.now(connection) - KEPT_AFTER_RETIREMENT
        published = and_(
            _TABLE.c.algorithm == ALGORITHM, or_(_TABLE.c.retired_at.is_(None), _TABLE.c.retired_at > oldest)
        )
        rows = connection.execute(select(_TABLE).where(published).order_by(_TABLE.c.created_at, _TABLE.c.kid)).all()
    public = {row.kid: ECKey.import_key(json.loads(row.public_jwk)) for row in rows}
    signing = [row for row in rows if row.retired_at is None]
    if not signing:
        return _Keys(read_at, public)
    return _Keys(read_at, public, signing[-1].kid, signing[-1].encrypted_private_jwk)
