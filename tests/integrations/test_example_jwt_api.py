"""examples/jwt_api.py, used through HTTP as a new user would."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from tests.integrations.examples import Example


def test_every_attempt_is_one_row_without_a_secret(
    serve: Any,
) -> None:
    with closing(Example("jwt_api", serve)) as example:
        client = example.visitor

        def ask(path: str, token: str, method: str = "POST") -> int:
            return client.request(method, path, headers={"Authorization": f"Bearer {token}"}).status_code

        def sign_in(name: str, password: str) -> Any:
            return client.post("/login", json={"email": f"{name}@example.org", "password": password}).json()

        for name, password in (("ann", "wrong horse"), ("nobody", "wrong horse"), ("ben", "correct horse")):
            assert "error" in sign_in(name, password)
        client.post("/login", content=b"{")
        tokens = sign_in("ann", "correct horse")
        access, refresh = tokens["access_token"], tokens["refresh_token"]
        assert [ask("/me", access, "GET"), ask("/me", "none", "GET")] == [200, 422]
        assert [ask("/refresh", refresh), ask("/refresh", access), ask("/logout", refresh)] == [200, 422, 204]
        assert [ask("/refresh", refresh), ask("/logout", refresh)] == [401, 401]
        assert [(row.event, row.outcome, row.reason, row.identity, row.user_id) for row in example.rows("sign-in")] == [
            ("sign_in", "failure", "wrong_password", "ann@example.org", None),
            ("sign_in", "failure", "unknown_account", "nobody@example.org", None),
            ("sign_in", "failure", "locked_account", "ben@example.org", None),
            ("sign_in", "failure", None, None, None),
            ("sign_in", "success", None, "ann@example.org", "1"),
            ("token_refresh", "success", None, None, "1"),
            ("token_refresh", "failure", "wrong_token", None, None),
            ("sign_out", "success", None, None, "1"),
            ("token_refresh", "failure", "revoked_token", None, "1"),
        ]
        written = example.read_files()
        for secret in (*access.split(".")[1:], *refresh.split(".")[1:], "wrong horse", "correct horse"):
            assert secret.encode() not in written
