"""What Authlib's clients must not touch: secrets, other apps, a closed log; and the clients of OAuth 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, request, session

from melody_logs import MelodyLogs
from melody_logs.errors import ConfigurationError
from melody_logs.integrations import Authlib
from tests.hosts import make_host
from tests.integrations.oauth_client import add_client, ask_provider, go_through, rows_of
from tests.integrations.openid_provider import CLIENT, Provider


def test_codes_states_and_tokens_are_nowhere_in_the_files(
    tmp_path: Path, apps: list[Flask], provider: Provider, provider_url: str
) -> None:
    app, _ = make_host(f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(tmp_path / "spool"))
    apps.append(app)
    add_client(app, provider_url)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    states = []
    for answer in ("right", "token_error"):
        provider.answer = answer
        back = ask_provider(client)
        states.append(httpx.URL(back).params["state"])
        client.get(back.removeprefix("http://localhost"), headers={"Referer": back})
    assert [row.outcome for row in rows_of(app)] == ["success", "failure"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ann@example.org" in written
    assert len(provider.given) >= 4
    for secret in (*provider.given, *states, CLIENT[1]):
        assert secret.encode() not in written


def test_two_apps_keep_their_rows_apart(apps: list[Flask], provider_url: str) -> None:
    made = [make_host()[0] for _ in range(2)]
    apps.extend(made)
    for app in made:
        add_client(app, provider_url)
    go_through(made[1].test_client())
    assert [len(rows_of(app)) for app in made] == [0, 1]


def test_nothing_is_recorded_while_sign_ins_are_off(apps: list[Flask], provider_url: str) -> None:
    app, _ = make_host(MELODY_LOGS_ENABLE_SIGN_IN_LOG=False)
    apps.append(app)
    add_client(app, provider_url)
    assert go_through(app.test_client()).status_code == 302
    assert rows_of(app) == []


def test_profile_that_a_job_asks_for_without_a_request_is_the_hosts_own(
    host: tuple[Flask, MelodyLogs], provider_url: str
) -> None:
    app, _ = host
    oauth = add_client(app, provider_url)
    go_through(app.test_client())
    with app.app_context():
        assert oauth.acme.userinfo(token={"access_token": "kept", "token_type": "Bearer"})["email"] == "ann@example.org"
    assert len(rows_of(app)) == 1


def test_closed_log_stops_before_the_code_is_exchanged(
    tmp_path: Path, apps: list[Flask], provider: Provider, provider_url: str
) -> None:
    spool = tmp_path / "spool"
    app, _ = make_host(
        f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(spool), MELODY_LOGS_ON_FAILURE="fail_closed"
    )
    apps.append(app)
    add_client(app, provider_url)
    spool.write_text("a file where the folder should be")
    assert go_through(app.test_client()).status_code == 503
    assert len(provider.given) == 1, "the code was not exchanged for tokens"
    spool.unlink()
    assert rows_of(app) == []


def test_client_asked_for_by_name_without_authlib_in_use_is_connected_all_the_same(
    host: tuple[Flask, MelodyLogs], provider_url: str
) -> None:
    app, logs = host
    logs.use(Authlib())
    with pytest.raises(ConfigurationError, match="authlib"):
        logs.use(Authlib())
    add_client(app, provider_url)
    go_through(app.test_client())
    assert len(rows_of(app)) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?oauth_token=request-token&oauth_verifier=verifier", ("success", None, "7")),
        ("?oauth_token=of-somebody-else&oauth_verifier=verifier", ("failure", "state_mismatch", None)),
        ("?denied=request-token", ("failure", "access_denied", None)),
        ("?oauth_token=request-token&oauth_verifier=wrong", ("failure", "provider_error", None)),
    ],
)
def test_first_version_of_oauth(
    apps: list[Flask], serve: Callable[[Flask], str], query: str, expected: tuple[str, str | None, str | None]
) -> None:
    old = Flask("old provider")
    old.add_url_rule("/request", "request", lambda: "oauth_token=request-token&oauth_token_secret=s1", methods=["POST"])

    @old.post("/access")
    def access() -> Any:
        is_right = 'oauth_verifier="verifier"' in request.headers["Authorization"]
        return "oauth_token=access-token&oauth_token_secret=s2" if is_right else ("refused", 401)

    base = serve(old)
    app, _ = make_host()
    apps.append(app)
    oauth = OAuth(app)
    oauth.register(
        "bird",
        client_id="client",
        client_secret="secret",
        request_token_url=f"{base}/request",
        access_token_url=f"{base}/access",
        authorize_url=f"{base}/authorize",
    )
    app.register_error_handler(OAuthError, lambda error: ("no", 400))
    app.add_url_rule("/start", "start", lambda: oauth.bird.authorize_redirect("http://localhost/callback"))

    @app.get("/callback")
    def callback() -> Any:
        oauth.bird.authorize_access_token()
        session["user_id"] = 7
        return redirect("/")

    client = app.test_client()
    client.get("/start")
    client.get(f"/callback{query}")
    (row,) = rows_of(app)
    assert (row.outcome, row.reason, row.user_id) == expected
    assert row.method == "oauth:bird"
