"""A host whose users sign in through the provider of the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session, url_for

from melody_logs.state import state_of
from tests.integrations.openid_provider import CLIENT
from tests.storage.rows import read_all


def enter(token: Any) -> Any:
    """Sign in whom the provider names, as hosts do."""
    session["user_id"] = 7
    return redirect("/")


def add_client(app: Flask, provider_url: str, sign: Callable[..., Any] = enter, **more: Any) -> OAuth:
    """Add the client of the provider and its two views; *sign* gets the token."""
    oauth = OAuth(app)
    oauth.register(
        "acme",
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
        server_metadata_url=f"{provider_url}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", "default_timeout": 1} | more,
    )
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/start", "start", lambda: oauth.acme.authorize_redirect(url_for("callback", _external=True)))
    app.add_url_rule("/callback", "callback", lambda: sign(oauth.acme.authorize_access_token()))
    return oauth


def ask_provider(client: Any) -> str:
    """Start, and return the address to which the provider sends the user back."""
    back: str = httpx.get(client.get("/start").location).headers["Location"]
    return back


def go_through(client: Any) -> Any:
    """Start, follow the provider's answer, and come back to the callback."""
    return client.get(ask_provider(client).removeprefix("http://localhost"))


def rows_of(app: Flask) -> list[Any]:
    """Read the sign-ins of a host."""
    return read_all(state_of(app).database, "sign-in")
