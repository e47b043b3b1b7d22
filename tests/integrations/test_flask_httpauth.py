"""Credentials that come with every request: each refusal and each visit is a row, and no password or token is in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from flask import Flask
from flask_httpauth import HTTPBasicAuth, HTTPDigestAuth, HTTPTokenAuth, MultiAuth

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskHTTPAuth
from melody_logs.integrations.flask_httpauth import MOST_VISITORS, Visits
from tests.hosts import make_host
from tests.integrations.oauth_client import rows_of
from tests.servers.processes import wait_until

TOKEN = "tok-5f0c2f6e9d0b4c1a"
ANN = SimpleNamespace(id=7, username="ann", email="ann@example.org")
Host = tuple[Flask, MelodyLogs]


def add_views(app: Flask, ann: Any = ANN) -> None:
    """Add a view behind each scheme; *ann* is what the callbacks return for the one account."""
    basic, token, digest = HTTPBasicAuth(), HTTPTokenAuth(), HTTPDigestAuth()
    basic.verify_password(lambda name, word: ann if (name, word) in (("ann", "right"), (TOKEN, "")) else None)
    token.verify_token(lambda given: ann if given == TOKEN else None)
    digest.get_password({"ann": "right"}.get)
    header = HTTPTokenAuth(header="X-API-Key")
    header.verify_token(lambda given: ann if given == TOKEN else None)
    for name, auth in {
        "basic": basic,
        "token": token,
        "digest": digest,
        "header": header,
        "multi": MultiAuth(basic, token),
    }.items():
        app.add_url_rule(f"/{name}", name, auth.login_required(lambda: "in"))


def facts(app: Flask) -> list[tuple[Any, ...]]:
    return [(row.outcome, row.method, row.identity, row.user_id) for row in rows_of(app)]


@pytest.mark.parametrize("path", ["/basic", "/multi"])
def test_basic_authentication(host: Host, path: str) -> None:
    app, _ = host
    add_views(app)
    client = app.test_client()
    assert client.get(path).status_code == 401
    assert client.get(path, auth=("ann", "wrong")).status_code == 401
    for _ in range(3):
        assert client.get(path, auth=("ann", "right")).status_code == 200
    assert client.get(path, auth=("bo", "right")).status_code == 401
    assert facts(app) == [
        ("failure", "password", "a•••", None),
        ("success", "password", "ann", "7"),
        ("failure", "password", "b•••", None),
    ]


@pytest.mark.parametrize(
    ("path", "name"), [("/token", "Authorization"), ("/multi", "Authorization"), ("/header", "X-API-Key")]
)
def test_tokens_are_never_the_name(host: Host, path: str, name: str) -> None:
    app, _ = host
    add_views(app)
    client = app.test_client()
    scheme = "" if name == "X-API-Key" else "Bearer "
    for token in ("tok-of-a-thief", TOKEN, TOKEN):
        client.get(path, headers={name: scheme + token})
    assert facts(app) == [("failure", "token", None, None), ("success", "token", "ann", "7")]


def test_digest_by_a_real_client(host: Host, serve: Any) -> None:
    app, _ = host
    add_views(app)
    url = serve(app)
    for password in ("wrong", "right"):
        with httpx.Client(auth=httpx.DigestAuth("ann", password)) as client:
            assert client.get(f"{url}/digest").status_code == (200 if password == "right" else 401)
    assert facts(app) == [("failure", "password", "a•••", None), ("success", "password", "ann", None)]


def test_digest_for_a_nonce_of_an_earlier_session_is_no_attempt(host: Host) -> None:
    app, _ = host
    add_views(app)
    old = 'Digest username="ann", realm="Authentication Required", nonce="old", uri="/digest", response="x", opaque="y"'
    assert app.test_client().get("/digest", headers={"Authorization": old}).status_code == 401
    assert rows_of(app) == []


@pytest.mark.parametrize(
    ("ann", "expected"),
    [
        ("ann", ("ann", None)),
        (True, ("a•••", None)),
        ({"id": "12"}, ("a•••", "12")),
        (SimpleNamespace(id=None, username="ann"), ("ann", None)),
        (SimpleNamespace(id=object(), email="ann@example.org"), ("ann@example.org", None)),
    ],
)
def test_what_the_callback_returns_says_who_it_was(host: Host, ann: Any, expected: tuple[Any, Any]) -> None:
    app, _ = host
    add_views(app, ann)
    app.test_client().get("/basic", auth=("ann", "right"))
    assert [fact[2:] for fact in facts(app)] == [expected]


@pytest.mark.parametrize("ann", [TOKEN, True, SimpleNamespace(id=TOKEN, username="ann"), {"id": TOKEN}, ANN])
def test_tokens_and_passwords_are_nowhere_in_the_files(tmp_path: Path, apps: list[Flask], ann: Any) -> None:
    app, _ = make_host(f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(tmp_path / "spool"))
    apps.append(app)
    add_views(app, ann)
    client = app.test_client()
    client.get("/token", headers={"Authorization": f"Bearer {TOKEN}"})
    client.get("/token", headers={"Authorization": "Bearer tok-of-a-thief"})
    client.get("/basic", auth=("ann", "not the password"))
    if ann != TOKEN:
        client.get("/basic", auth=(TOKEN, ""))
    assert len(rows_of(app)) == (3 if ann == TOKEN else 4)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (TOKEN, "tok-of-a-thief", "not the password"):
        assert secret.encode() not in written


def test_success_after_a_failure_is_a_row_again(host: Host) -> None:
    app, _ = host
    add_views(app)
    client = app.test_client()
    for password in ("right", "wrong", "right"):
        client.get("/basic", auth=("ann", password))
    client.get("/basic", auth=("ann", "right"), headers={"User-Agent": "another"})
    client.get("/basic", auth=("ann", "right"), environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert [fact[0] for fact in facts(app)] == ["success", "failure", "success", "success", "success"]


def test_host_sets_pause_endpoints_and_user(host: Host) -> None:
    app, logs = host
    logs.use(FlaskHTTPAuth(endpoint="basic", user_id=lambda user: user.email))
    add_views(app)
    client = app.test_client()
    for _ in range(2):
        client.get("/multi", auth=("ann", "right"))
    client.get("/basic", auth=("ann", "right"))
    assert [fact[3] for fact in facts(app)] == ["ann@example.org"] * 2
    assert list(FlaskHTTPAuth(endpoint="gone").find_gaps(app)) == [
        'the app has no endpoint "gone": correct it in FlaskHTTPAuth()'
    ]


def test_without_a_pause_each_request_is_a_row(host: Host) -> None:
    app, logs = host
    logs.use(FlaskHTTPAuth(pause_minutes=0))
    add_views(app)
    for _ in range(3):
        app.test_client().get("/basic", auth=("ann", "right"))
    assert len(rows_of(app)) == 3


def test_visit_ends_by_a_pause_and_after_a_day() -> None:
    now = [0.0]
    visits = Visits(1800, clock=lambda: now[0])
    begun = []
    for now[0] in (0, 1799, 3598, 5398, 5400):
        begun.append(visits.begins(1))
    assert begun == [True, False, False, True, False]
    hours = [hour for hour in range(2, 400) if (now.__setitem__(0, 5398 + hour * 900), visits.begins(1))[1]]
    assert [hour * 900 / 3600 for hour in hours] == [24, 48, 72, 96]


def test_visitors_remembered_are_bounded_and_the_latest_stay() -> None:
    visits = Visits(1800)
    for visitor in range(MOST_VISITORS * 3):
        assert visits.begins(visitor)
    assert len(visits._newer) + len(visits._older) <= 2 * MOST_VISITORS
    assert not visits.begins(MOST_VISITORS * 3 - 1) and visits.begins(0)


def test_callback_that_crashes_is_a_failure_and_reaches_the_host(host: Host) -> None:
    app, _ = host
    basic = HTTPBasicAuth()
    basic.verify_password(lambda name, word: 1 / 0)
    app.add_url_rule("/basic", "basic", basic.login_required(lambda: "in"))
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/basic", auth=("ann@example.org", "right"))
    assert facts(app) == [("failure", "password", "ann@example.org", None)]


def test_closed_log_lets_nobody_in(tmp_path: Path, apps: list[Flask]) -> None:
    spool = tmp_path / "spool"
    app, _ = make_host(
        f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(spool), MELODY_LOGS_ON_FAILURE="fail_closed"
    )
    apps.append(app)
    add_views(app)
    client = app.test_client()
    spool.write_text("a file where the folder should be")
    assert client.get("/basic", auth=("ann", "right")).status_code == 503
    spool.unlink()
    wait_until(lambda: client.get("/basic", auth=("ann", "right")).status_code == 200)
    assert [fact[0] for fact in facts(app)] == ["success"]


def test_nothing_is_recorded_while_sign_ins_are_off(apps: list[Flask]) -> None:
    app, _ = make_host(MELODY_LOGS_ENABLE_SIGN_IN_LOG=False)
    apps.append(app)
    add_views(app)
    client = app.test_client()
    assert client.get("/basic", auth=("ann", "right")).status_code == 200
    assert client.get("/basic", auth=("ann", "wrong")).status_code == 401
    assert rows_of(app) == []
