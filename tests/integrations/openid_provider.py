"""A small real OpenID Connect provider: discovery, keys, codes, signed ID tokens, and every way to go wrong."""

from __future__ import annotations

import functools
import secrets
import threading
import time
from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.wrappers import Response as BaseResponse

CLIENT = ("client", "a-secret-of-the-client")


@functools.cache
def _make_key(whose: str) -> RSAKey:
    """Make a key, once a process: that takes a while."""
    return RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


class Provider:
    """What the provider does next, and what it has given out.

    ``answer`` is how the next callbacks and token requests go: ``right``, ``access_denied``, ``token_error``,
    ``token_page``, ``token_slow``, ``forged``, ``other_nonce`` or ``userinfo_error``.
    """

    def __init__(self) -> None:
        self.answer = "right"
        self.email: str | None = "ann@example.org"
        self.given: list[str] = []
        self.released = threading.Event()
        self._key = _make_key("its own")
        self._nonces: dict[str, str] = {}
        self.app = Flask("provider")
        self.app.add_url_rule("/.well-known/openid-configuration", "discovery", self.discovery)
        self.app.add_url_rule("/keys", "keys", lambda: jsonify({"keys": [self._key.as_dict(private=False)]}))
        self.app.add_url_rule("/authorize", "authorize", self.authorize)
        self.app.add_url_rule("/token", "token", self.token, methods=["POST"])
        self.app.add_url_rule("/userinfo", "userinfo", self.userinfo)

    def discovery(self) -> dict[str, Any]:
        """Answer as OpenID Connect Discovery 1.0 says."""
        base = request.host_url.rstrip("/")
        return {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "userinfo_endpoint": f"{base}/userinfo",
            "jwks_uri": f"{base}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def authorize(self) -> BaseResponse:
        """Send the user back with a code, or with the error of a user who has refused."""
        back, state = request.args["redirect_uri"], request.args["state"]
        if self.answer == "access_denied":
            return redirect(f"{back}?error=access_denied&error_description=no+thanks&state={state}")
        code = self._give()
        self._nonces[code] = request.args.get("nonce", "")
        return redirect(f"{back}?code={code}&state={state}")

    def token(self) -> Response | tuple[Any, int]:
        """Exchange a code for tokens, once."""
        if self.answer == "token_slow":
            self.released.wait(30)
        if self.answer == "token_page":
            return "<h1>Bad gateway</h1>", 502
        nonce = self._nonces.pop(request.form["code"], None)
        assert request.authorization is not None
        is_client = (request.authorization.username, request.authorization.password) == CLIENT
        if self.answer == "token_error" or nonce is None or not is_client:
            return {"error": "invalid_grant", "error_description": f"code {request.form['code']} is used"}, 400
        key = _make_key("a thief's") if self.answer == "forged" else self._key
        now = int(time.time())
        claims = {
            "iss": request.host_url.rstrip("/"),
            "sub": "subject-1",
            "aud": CLIENT[0],
            "iat": now,
            "exp": now + 60,
            "nonce": "another" if self.answer == "other_nonce" else nonce,
            "email": self.email,
            "email_verified": True,
        }
        claims = {name: value for name, value in claims.items() if value}
        id_token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        self.given.append(id_token)
        tokens = {"access_token": self._give(), "refresh_token": self._give(), "token_type": "Bearer"}
        return jsonify(tokens | ({"id_token": id_token} if nonce else {}))

    def userinfo(self) -> Response | tuple[str, int]:
        """Say who the user is."""
        if self.answer == "userinfo_error":
            return "down", 503
        return jsonify({"sub": "subject-1", "email": self.email})

    def _give(self) -> str:
        self.given.append(secrets.token_urlsafe(24))
        return self.given[-1]
