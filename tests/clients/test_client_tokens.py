"""What a token must be to be accepted: every way to forge, stretch or reuse one is refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwe, jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from sqlalchemy import delete

from melody_logs.clients import keys, tokens
from melody_logs.clients.registry import create_client, disable_client
from melody_logs.clients.tokens import Caller, InvalidTokenError, TokenAuthority
from melody_logs.secret_keys import derive_key
from melody_logs.storage.database import Database
from melody_logs.storage.models import SigningKey
from tests.storage.rows import make_database

AUDIENCE = "/api/v1/logs"


class Forge:
    """An authority with a client, and the means to make tokens that differ from its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.authority = self.make_authority("one")
        self.client_id = create_client(database, "billing", ["root"]).client_id
        self.key = self.authority.keys.signing_key()
        now = int(time.time())
        self.header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}
        self.claims: dict[str, Any] = {
            "iss": "melody_logs",
            "sub": self.client_id,
            "aud": AUDIENCE,
            "client_id": self.client_id,
            "scope": "root",
            "iat": now,
            "exp": now + 900,
            "jti": "1",
        }

    def make_authority(self, secret: str, audience: str = AUDIENCE) -> TokenAuthority:
        return TokenAuthority(
            self.database, lambda purpose: derive_key(secret, purpose), audience=audience, lifetime_seconds=900
        )

    def sign(self, header: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        """Sign with the true key a token that differs from a good one as said."""
        changed = {name: value for name, value in (self.claims | claims).items() if name != without}
        extra = {name: HeaderParameter("any", lambda value: None) for name in header or {}}
        registry = JWSRegistry(header_registry=extra, algorithms=["ES256", "HS256"], strict_check_header=False)
        return jwt.encode(self.header | (header or {}), changed, self.key, registry=registry, default_type=None)


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    database = make_database(f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'logs.db'}")
    yield Forge(database)
    database.close()


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refuse(forge: Forge, token: str) -> None:
    with pytest.raises(InvalidTokenError):
        forge.authority.verify_token(token)


def test_issued_token_names_the_client_and_its_scopes(forge: Forge) -> None:
    issued = forge.authority.issue_token(forge.client_id, "read_log write_log")
    caller = forge.authority.verify_token(issued.access_token)
    assert caller == Caller(forge.client_id, frozenset({"read_log", "write_log"}))
    assert issued.expires_at - time.time() == pytest.approx(900, abs=5)
    header = json.loads(base64.urlsafe_b64decode(issued.access_token.split(".")[0] + "=="))
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": forge.key.kid}


def test_hand_signed_token_is_good(forge: Forge) -> None:
    """The other tests change one thing of this token, so this one must pass."""
    assert forge.authority.verify_token(forge.sign()).client_id == forge.client_id


def test_unsigned_token_is_refused(forge: Forge) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        refuse(forge, f"{encode(forge.header | {'alg': algorithm})}.{encode(forge.claims)}.")


def test_public_key_is_no_shared_secret(forge: Forge) -> None:
    """A token signed with HS256 and the published key as its secret (CVE-2022-29217)."""
    text = f"{encode(forge.header | {'alg': 'HS256'})}.{encode(forge.claims)}"
    for secret in (forge.key.as_pem(private=False), json.dumps(forge.key.as_dict(private=False)).encode()):
        refuse(forge, f"{text}.{encode(hmac.digest(secret, text.encode(), 'sha256'))}")


def test_changed_claims_break_the_signature(forge: Forge) -> None:
    header, _, signature = forge.sign(scope="read_log").split(".")
    refuse(forge, f"{header}.{encode(forge.claims)}.{signature}")
    refuse(forge, f"{header}.{encode(forge.claims)}.")


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "x" * 2000, "unknown", "", None, 1, ["a"], {"a": 1}])
def test_key_id_is_only_looked_up(forge: Forge, kid: Any) -> None:
    stranger = ECKey.generate_key("P-256")
    registry = JWSRegistry(header_registry={"kid": HeaderParameter("any", lambda value: None)}, algorithms=["ES256"])
    registry.max_header_length = 100_000
    refuse(forge, jwt.encode(forge.header | {"kid": kid}, forge.claims, stranger, registry=registry))


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk"])
def test_key_that_a_token_brings_along_is_ignored(forge: Forge, name: str) -> None:
    stranger = ECKey.generate_key("P-256")
    value = stranger.as_dict(private=False) if name == "jwk" else "https://example.org/keys"
    registry = JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    for header in (forge.header, {"alg": "ES256", "typ": "at+jwt"}):
        refuse(forge, jwt.encode(header | {name: value}, forge.claims, stranger, registry=registry))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["unheard-of"], "unheard-of": True},
        {"crit": ["kid"]},
        {"crit": []},
        {"crit": "kid"},
        {"b64": False},
        {"typ": "JWT"},
        {"typ": ""},
        {"typ": None},
        {"typ": ["at+jwt"]},
    ],
)
def test_header_that_wants_something_else_is_refused(forge: Forge, header: dict[str, Any]) -> None:
    segment = encode(forge.header | header)
    payload = encode(forge.claims)
    signature = encode(_raw_signature(forge, f"{segment}.{payload}"))
    refuse(forge, f"{segment}.{payload}.{signature}")


def test_raw_signing_makes_good_tokens(forge: Forge) -> None:
    """Else the test above would be refused for its signature."""
    text = f"{encode(forge.header)}.{encode(forge.claims)}"
    forge.authority.verify_token(f"{text}.{encode(_raw_signature(forge, text))}")


def _raw_signature(forge: Forge, text: str) -> bytes:
    return JWSRegistry(algorithms=["ES256"]).get_alg("ES256").sign(text.encode(), forge.key)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "/elsewhere"},
        {"aud": []},
        {"aud": ""},
        {"iss": "somebody"},
        {"iss": ["melody_logs", 1]},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"exp": True},
        {"scope": ["root"]},
        {"client_id": 1},
        {"client_id": "mlc_unknown"},
        {"client_id": "a\0b"},
    ],
)
def test_wrong_claim_is_refused(forge: Forge, claims: dict[str, Any]) -> None:
    refuse(forge, forge.sign(**claims))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "jti", "client_id", "scope", "sub"])
def test_missing_claim_is_refused(forge: Forge, name: str) -> None:
    refuse(forge, forge.sign(without=name))


def test_clocks_may_differ_by_thirty_seconds(forge: Forge) -> None:
    now = int(time.time())
    forge.authority.verify_token(forge.sign(exp=now - 25))
    forge.authority.verify_token(forge.sign(nbf=now + 25, iat=now + 25))
    refuse(forge, forge.sign(exp=now - 31))
    refuse(forge, forge.sign(nbf=now + 35))


def test_token_for_another_path_is_refused(forge: Forge) -> None:
    """An app with two APIs on one database does not accept the tokens of one in the other."""
    elsewhere = forge.make_authority("one", audience="/other")
    refuse(forge, elsewhere.issue_token(forge.client_id, "root").access_token)


def test_encrypted_token_is_refused(forge: Forge) -> None:
    """Compressed, it could be a bomb (CVE-2024-33664): it is not even opened."""
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "zip": "DEF", "kid": forge.key.kid, "typ": "at+jwt"}
    token = jwe.encrypt_compact(header, b"a" * 100_000, ECKey.import_key(forge.key.as_dict(private=False, use="enc")))
    refuse(forge, token)


def test_long_token_is_refused_unread(forge: Forge) -> None:
    with pytest.raises(InvalidTokenError, match="longer than 4096"):
        forge.authority.verify_token(forge.sign(padding="x" * 4096))


def test_unknown_scopes_in_a_token_mean_nothing(forge: Forge) -> None:
    assert forge.authority.verify_token(forge.sign(scope="rootless read_log root2")).scopes == {"read_log"}


def test_disabled_client_loses_its_tokens(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where nothing is cached, and within a minute everywhere."""
    assert tokens.CLIENT_CACHE_SECONDS <= 60
    monkeypatch.setattr(tokens, "CLIENT_CACHE_SECONDS", 0.3)
    client_id = create_client(forge.database, "leaver", ["root"]).client_id
    token = forge.authority.issue_token(client_id, "root").access_token
    forge.authority.verify_token(token)
    disable_client(forge.database, client_id)
    with pytest.raises(InvalidTokenError):
        forge.make_authority("one").verify_token(token)
    time.sleep(0.3)
    refuse(forge, token)


def count_verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the tokens whose signatures are computed from now on."""
    seen: list[str] = []
    decode = jwt.decode

    def spy(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", spy)
    return seen


def test_signature_of_a_token_is_computed_once(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again for another token, and where the keys were read anew: a key may have been taken away."""
    seen = count_verifications(monkeypatch)
    authority = forge.make_authority("one")
    first, second = (authority.issue_token(forge.client_id, scope).access_token for scope in ("root", "read_log"))
    callers = [authority.verify_token(token) for token in (first, first, second, first)]
    assert [caller.scopes for caller in callers] == [{"root"}, {"root"}, {"read_log"}, {"root"}]
    assert seen == [first, second]
    authority.keys.rotate()
    authority.verify_token(first)
    assert seen == [first, second, first]


def test_remembered_token_ends_when_it_says(forge: Forge) -> None:
    end = int(time.time()) + 3
    token = forge.sign(exp=end - tokens.SKEW_SECONDS)
    forge.authority.verify_token(token)
    time.sleep(end + 1.2 - time.time())
    refuse(forge, token)


def test_remembered_token_ends_with_its_key(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that an operator deletes, because it was stolen perhaps, is gone within the minute that keys are kept."""
    database = make_database("sqlite:///" + str(forge.database.url.database).replace("logs.db", "deleted.db"))
    authority = TokenAuthority(database, lambda purpose: b"k" * 32, audience=AUDIENCE, lifetime_seconds=900)
    token = authority.issue_token(create_client(database, "one", ["root"]).client_id, "root").access_token
    authority.verify_token(token)
    with database.write() as connection:
        connection.execute(delete(SigningKey))
    authority.verify_token(token)
    monkeypatch.setattr(keys, "CACHE_SECONDS", 0)
    with pytest.raises(InvalidTokenError):
        authority.verify_token(token)
    database.close()


def test_remembered_tokens_do_not_grow_without_end(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_REMEMBERED_TOKENS", 3)
    authority = forge.make_authority("one")
    for _ in range(8):
        authority.verify_token(authority.issue_token(forge.client_id, "root").access_token)
    refuse(forge, "no.token.atall")
    assert 0 < len(authority._verified) <= 3


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.lists(st.binary(max_size=60).map(encode), max_size=6).map(".".join))
def test_any_text_is_refused_and_raises_nothing_else(forge: Forge, text: str) -> None:
    refuse(forge, text)
