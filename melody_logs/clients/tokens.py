"""Access tokens: JWTs as RFC 9068 has them, signed with ES256 and good for this app's API only.

Issuer and audience are fixed texts, never taken from a ``Host`` header that a stranger chooses: the issuer is
``melody_logs`` and the audience the path of the API. What ties a token to one installation is its signing key.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol
from joserfc.jws import JWSRegistry
from joserfc.jwt import ClaimsOption

from ..storage.database import Database
from ..vocabulary import SCOPES
from .keys import ALGORITHM, SigningKeys
from .registry import is_active

ISSUER = "melody_logs"
LONGEST_TOKEN = 4096
SKEW_SECONDS = 30
#: A client that is disabled loses its tokens within this.
CLIENT_CACHE_SECONDS = 30
#: A program uses one token for minutes; whose signature was right once need not be computed again.
MOST_REMEMBERED_TOKENS = 1000
_TYPES = ("at+jwt", "application/at+jwt")
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])


class InvalidTokenError(Exception):
    """A token is not accepted; the message says why in words that may be shown to whoever sent it."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token; *expires_at* is a Unix time in seconds."""

    access_token: str
    expires_at: int
    lifetime_seconds: int
    scope: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API: a client and the scopes of its token."""

    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a good token said, and the key that it was verified with."""

    client_id: str
    scopes: frozenset[str]
    expires_at: int | float
    kid: str
    key: ECKey


class TokenAuthority:
    """Issues and verifies the tokens of one app.

    :param audience: the path of the API.
    """

    def __init__(
        self, database: Database, derive_key: Callable[[str], bytes], *, audience: str, lifetime_seconds: int
    ) -> None:
        self.keys = SigningKeys(database, derive_key)
        self._database = database
        self._audience = audience
        self._lifetime_seconds = lifetime_seconds
        self._active_until: dict[str, float] = {}
        #: By the SHA-256 of the token, so that no token lies about here.
        self._verified: dict[bytes, _Verified] = {}

    def issue_token(self, client_id: str, scope: str) -> IssuedToken:
        """Sign a token for a client that has proved who it is.

        :param scope: the scopes granted, separated by spaces.
        :raise ConfigurationError: if the signing key cannot be decrypted.
        """
        now = int(time.time())
        expires_at = now + self._lifetime_seconds
        key = self.keys.signing_key()
        claims = {
            "iss": ISSUER,
            "sub": client_id,
            "aud": self._audience,
            "client_id": client_id,
            "scope": scope,
            "iat": now,
            "exp": expires_at,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": ALGORITHM, "typ": _TYPES[0], "kid": key.kid}
        signed = jwt.encode(header, claims, key, registry=_REGISTRY)
        return IssuedToken(signed, expires_at, self._lifetime_seconds, scope)

    def verify_token(self, token: str) -> Caller:
        """Check everything about a token and say whose it is.

        :raise InvalidTokenError: if it is not one of ours, has ended, or its client is disabled.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidTokenError(f"the token is longer than {LONGEST_TOKEN} characters")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._recall(digest)
        if verified is None:
            verified = self._verify(token)
            if len(self._verified) >= MOST_REMEMBERED_TOKENS:
                self._verified.clear()
            self._verified[digest] = verified
        if not self._is_active(verified.client_id):
            raise InvalidTokenError("the client of the token is not active")
        return Caller(verified.client_id, verified.scopes)

    def _recall(self, digest: bytes) -> _Verified | None:
        """Find a token that was good: it still is if it has not ended and its key is still the one published."""
        verified = self._verified.get(digest)
        if verified is None or verified.expires_at < time.time() - SKEW_SECONDS:
            return None
        return verified if self.keys.find_public(verified.kid) is verified.key else None

    def _verify(self, token: str) -> _Verified:
        used: list[ECKey] = []

        def find_key(signature: GuestProtocol) -> ECKey:
            used.append(self._find_key(signature))
            return used[-1]

        try:
            decoded = jwt.decode(token, find_key, registry=_REGISTRY)
            if decoded.header.get("typ", "") not in _TYPES or "crit" in decoded.header:
                raise InvalidTokenError('the token is not of the type "at+jwt", or wants an extension')
            self._claims_rules().validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            # ValueError and the like: hostile base64, JSON and header values that the library does not foresee.
            raise InvalidTokenError("the token is not valid, or has expired") from None
        client_id, scope = decoded.claims["client_id"], decoded.claims["scope"]
        if not isinstance(client_id, str) or not isinstance(scope, str):
            raise InvalidTokenError("the client of the token is not active")
        scopes = frozenset(scope.split(" ")).intersection(SCOPES)
        return _Verified(client_id, scopes, decoded.claims["exp"], decoded.header["kid"], used[-1])

    def _find_key(self, signature: GuestProtocol) -> ECKey:
        found = self.keys.find_public(signature.headers().get("kid"))
        if found is None:
            raise InvalidTokenError("the token was not signed with a key of ours")
        return found

    def _claims_rules(self) -> jwt.JWTClaimsRegistry:
        present: ClaimsOption = {"essential": True}
        return jwt.JWTClaimsRegistry(
            leeway=SKEW_SECONDS,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": self._audience},
            sub=present,
            exp=present,
            iat=present,
            jti=present,
            client_id=present,
            scope=present,
        )

    def _is_active(self, client_id: str) -> bool:
        # Only clients with a token of ours come here, so this does not grow beyond their number.
        if self._active_until.get(client_id, 0.0) > time.monotonic():
            return True
        if not is_active(self._database, client_id):
            return False
        self._active_until[client_id] = time.monotonic() + CLIENT_CACHE_SECONDS
        return True
