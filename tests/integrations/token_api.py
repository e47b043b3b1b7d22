"""A token API as hosts write it, with Flask-JWT-Extended."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask.testing import FlaskClient
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)

from tests.integrations.oauth_client import rows_of

ADDRESS = "ann@example.org"
WRONG, RIGHT = {"email": ADDRESS, "password": "wrong"}, {"email": ADDRESS, "password": "right"}


def make_tokens() -> dict[str, str]:
    """Make tokens as a service below the view does."""
    return {"access": create_access_token("7"), "refresh": create_refresh_token("7")}


def add_api(app: Flask) -> set[str]:
    """Add the views of a token API; return the set of the ids of revoked tokens."""
    app.config["JWT_SECRET_KEY"] = "a key for tests that is long enough"
    manager = JWTManager(app)
    revoked: set[str] = set()
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)

    @app.post("/login")
    def login() -> Any:
        if request.get_json()["password"] != "right":
            return {"msg": "wrong"}, 401
        return {"access": create_access_token("7"), "refresh": create_refresh_token("7")}

    @app.post("/refresh")
    @jwt_required(refresh=True)
    def refresh() -> Any:
        return {"access": create_access_token(get_jwt_identity())}

    @app.post("/logout")
    @jwt_required(verify_type=False)
    def logout() -> Any:
        revoked.add(get_jwt()["jti"])
        return "", 204

    @app.get("/me")
    @jwt_required()
    def me() -> Any:
        return {"id": get_jwt_identity()}

    return revoked


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def sign_in(client: FlaskClient) -> dict[str, str]:
    answer = client.post("/login", json=RIGHT)
    found: dict[str, str] = answer.get_json()
    return found


def facts(app: Flask) -> list[tuple[Any, ...]]:
    return [(row.event, row.outcome, row.reason, row.user_id, row.identity) for row in rows_of(app)]
