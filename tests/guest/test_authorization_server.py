"""Hosts with an OAuth server of their own, made with Authlib, at the paths that ours has by default and beside them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask
from werkzeug.test import TestResponse

from melody_logs import ConfigurationError
from tests.guest.conftest import API, KEYS, TOKEN, MoveIn, NewHost, ask_token, bearer


class HostClient(SimpleNamespace):
    """The only client that the host's server knows."""

    client_id = "shop"

    def check_client_secret(self, secret: str) -> bool:
        """Compare the secret."""
        return secret == "sesame"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Take the header only."""
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        """Allow programs only."""
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str) -> str:
        """Allow what is asked."""
        return scope


class ClientCredentials(grants.ClientCredentialsGrant):
    """The grant that programs use."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)


class HostToken(SimpleNamespace):
    """A token that the host's server gave."""

    def is_expired(self) -> bool:
        """Say whether its time is over."""
        return bool(self.expires_at < time.time())

    def is_revoked(self) -> bool:
        """Revoke none."""
        return False

    def get_scope(self) -> str:
        """Give its scope."""
        return str(self.scope)


def add_server(app: Flask, token_path: str) -> None:
    """Give the host an OAuth server, a key set in its own folder, and a view that asks for its tokens."""
    tokens: dict[str, HostToken] = {}

    def save(token: dict[str, Any], request: Any) -> None:
        expires_at = time.time() + token["expires_in"]
        tokens[token["access_token"]] = HostToken(expires_at=expires_at, scope=token["scope"], client=request.client)

    class Validator(BearerTokenValidator):
        def authenticate_token(self, text: str) -> HostToken | None:
            return tokens.get(text)

    server = AuthorizationServer(
        app, query_client=lambda name: HostClient() if name == "shop" else None, save_token=save
    )
    server.register_grant(ClientCredentials)
    require = ResourceProtector()
    require.register_token_validator(Validator())
    app.add_url_rule(token_path, "token", server.create_token_response, methods=["POST"])
    app.add_url_rule("/oauth2/v1/authorize", "authorize", lambda: "their consent page")
    app.add_url_rule("/.well-known/openid-configuration", "discovery", lambda: {"issuer": "https://host.example"})

    @app.get("/orders")
    @require("orders")
    def orders() -> str:
        return f"orders for {current_token.client.client_id}"


def ask_host(app: Flask, path: str) -> TestResponse:
    """Ask the host's server for a token."""
    form = {"grant_type": "client_credentials", "scope": "orders"}
    return app.test_client().post(path, data=form, auth=("shop", "sesame"))


def assert_servers_are_apart(app: Flask, *, theirs: str, ours: str) -> None:
    """Check that each server gives tokens for its own views, and none for the other's."""
    client = app.test_client()
    answer: Any = ask_host(app, theirs).json
    host_token = {"Authorization": f"Bearer {answer['access_token']}"}
    our_token = bearer(app, path=ours)
    assert client.get("/orders", headers=host_token).text == "orders for shop"
    assert client.get("/orders", headers=our_token).status_code == 401
    assert client.get(f"{API}/email", headers=our_token).status_code == 200
    assert client.get(f"{API}/email", headers=host_token).status_code == 401
    assert client.get("/oauth2/v1/authorize").text == "their consent page"
    assert client.get("/.well-known/openid-configuration").json == {"issuer": "https://host.example"}
    assert "keys" in client.get(KEYS).json  # type: ignore[operator]


@pytest.mark.parametrize("before", [True, False])
def test_server_of_the_host_at_another_path_of_the_same_folder(
    new_host: NewHost, move_in: MoveIn, before: bool
) -> None:
    app = new_host()
    if before:
        add_server(app, "/oauth2/token")
    move_in(app)
    if not before:
        add_server(app, "/oauth2/token")
    assert_servers_are_apart(app, theirs="/oauth2/token", ours=TOKEN)


def test_server_of_the_host_at_our_path_is_refused_with_the_key(new_host: NewHost, move_in: MoveIn) -> None:
    """With the key set to another path both work."""
    app = new_host()
    add_server(app, TOKEN)
    with pytest.raises(ConfigurationError, match='"MELODY_LOGS_TOKEN_PREFIX" is "/oauth2/v1", but'):
        move_in(app)
    app.config["MELODY_LOGS_TOKEN_PREFIX"] = "/logs-oauth"
    move_in(app)
    assert_servers_are_apart(app, theirs=TOKEN, ours="/logs-oauth/token")
    assert ask_token(app, path="/logs-oauth/token").status_code == 200
