"""Which views of a token API sign in, and what must not be touched: tokens, a closed log, a host's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.views import MethodView
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
)

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskJWTExtended
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.integrations.oauth_client import rows_of
from tests.integrations.token_api import ADDRESS, RIGHT, WRONG, add_api, bearer, facts, make_tokens, sign_in

Host = tuple[Flask, MelodyLogs]


def test_view_that_lets_others_make_its_tokens_is_learned_by_its_first_success(host: Host) -> None:
    app, _ = host
    add_api(app)
    app.add_url_rule(
        "/enter",
        "enter",
        lambda: make_tokens() if request.form["password"] == "right" else ("no", 401),
        methods=["POST"],
    )
    client = app.test_client()
    for password in ("wrong", "right", "wrong"):
        client.post("/enter", data={"username": ADDRESS, "password": password})
    assert [row[1] for row in facts(app)] == ["success", "failure"]


def test_view_that_is_named_is_seen_from_the_first_failure_and_others_only_succeed(host: Host) -> None:
    app, logs = host
    add_api(app)
    logs.use(FlaskJWTExtended(endpoint="enter", identity="name", method="otp"))

    class Enter(MethodView):
        def post(self) -> Any:
            return make_tokens() if request.form["code"] == "right" else {"error": "no"}

    app.add_url_rule("/enter", view_func=Enter.as_view("enter"))
    client = app.test_client()
    for code in ("wrong", "right"):
        client.post("/enter", data={"name": ADDRESS, "code": code})
    client.post("/login", json=WRONG)
    client.post("/login", json=RIGHT)
    assert [(*row[:2], row[4]) for row in facts(app)] == [
        ("sign_in", "failure", ADDRESS),
        ("sign_in", "success", ADDRESS),
        ("sign_in", "success", None),
    ]
    assert [row.method for row in rows_of(app)] == ["otp"] * 3


@pytest.mark.parametrize(("status", "rows"), [(409, 0), (422, 0), (200, 0), (403, 1), (429, 1), (500, 1)])
def test_view_that_only_seems_to_sign_in_fails_by_refusals_alone(host: Host, status: int, rows: int) -> None:
    app, _ = host
    add_api(app)

    @app.post("/register")
    def register() -> Any:
        return ("", status) if status else {"access": create_access_token("7")}

    app.test_client().post("/register", json=RIGHT)
    assert len(rows_of(app)) == rows
    assert [row.reason for row in rows_of(app) if status == 429] == ["rate_limited"] * (status == 429)


def test_host_says_that_a_second_factor_is_asked_for(host: Host) -> None:
    app, logs = host
    add_api(app)
    logs.use(
        FlaskJWTExtended(
            endpoint="enter", outcome=lambda response: "challenge" if response.get_json().get("code") else None
        )
    )
    app.add_url_rule("/enter", "enter", lambda: {"code": "is sent"}, methods=["POST"])
    app.test_client().post("/enter", json=RIGHT)
    assert [row[1] for row in facts(app)] == ["challenge"]


@pytest.mark.parametrize("said", ["signed in", "", 0, []])
def test_outcome_that_is_no_word_of_the_vocabulary_leaves_it_to_the_token(host: Host, said: Any) -> None:
    app, logs = host
    add_api(app)
    logs.use(FlaskJWTExtended(endpoint="login", outcome=lambda response: said))
    client = app.test_client()
    client.post("/login", json=RIGHT)
    client.post("/login", json=WRONG)
    assert [(row.outcome, row.marks) for row in rows_of(app)] == [("success", None), ("failure", None)]


def test_named_logout_is_a_sign_out(host: Host) -> None:
    app, logs = host
    add_api(app)
    logs.use(FlaskJWTExtended(logout_endpoint="logout"))
    client = app.test_client()
    token = sign_in(client)["access"]
    for _ in range(2):
        client.post("/logout", headers=bearer(token))
    assert [row[:4] for row in facts(app)[1:]] == [("sign_out", "success", None, "7")]


def test_view_that_the_host_watches_itself_stays_as_the_host_says(host: Host) -> None:
    app, logs = host
    add_api(app)
    logs.watch_sign_in("login", identity=lambda: "ben@example.org", outcome=lambda response: "challenge")
    app.test_client().post("/login", json=RIGHT)
    assert [(*row[:2], row[4]) for row in facts(app)] == [("sign_in", "challenge", "ben@example.org")]


def test_view_that_crashes_after_the_token_was_made_is_a_failure(host: Host) -> None:
    app, _ = host
    app.config["PROPAGATE_EXCEPTIONS"] = False
    add_api(app)

    @app.post("/crash")
    def crash() -> Any:
        create_access_token("7")
        raise RuntimeError("the host's own fault")

    assert app.test_client().post("/crash", json=RIGHT).status_code == 500
    assert facts(app) == [("sign_in", "failure", None, None, ADDRESS)]


def test_tokens_are_nowhere_in_the_files(tmp_path: Path, apps: list[Flask]) -> None:
    app, _ = make_host(f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(tmp_path / "spool"))
    apps.append(app)
    app.config["JWT_TOKEN_LOCATION"] = ["headers", "query_string"]
    revoked = add_api(app)
    client = app.test_client()
    tokens = sign_in(client)
    client.post("/refresh", headers=bearer(tokens["refresh"]) | {"Referer": f"http://x/?jwt={tokens['access']}"})
    client.post(f"/refresh?jwt={tokens['access']}")
    client.post("/login", json={"email": tokens["refresh"], "password": "right password"})
    assert len(rows_of(app)) == 4 and not revoked
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for token in tokens.values():
        for part in token.split(".")[1:]:
            assert part.encode() not in written
    assert b"right password" not in written


def test_closed_log_gives_out_no_token(tmp_path: Path, apps: list[Flask]) -> None:
    spool = tmp_path / "spool"
    app, _ = make_host(
        f"sqlite:///{tmp_path / 'logs.db'}", MELODY_LOGS_SPOOL_DIR=str(spool), MELODY_LOGS_ON_FAILURE="fail_closed"
    )
    apps.append(app)
    add_api(app)
    spool.write_text("a file where the folder should be")
    answer = app.test_client().post("/login", json=RIGHT)
    assert (answer.status_code, "access" in answer.get_data(as_text=True)) == (503, False)
    spool.unlink()
    assert rows_of(app) == []


def test_nothing_is_recorded_while_sign_ins_are_off(apps: list[Flask]) -> None:
    app, _ = make_host(MELODY_LOGS_ENABLE_SIGN_IN_LOG=False)
    apps.append(app)
    add_api(app)
    assert "access" in sign_in(app.test_client())
    assert rows_of(app) == []


def test_gaps_are_named_with_their_remedy(host: Host) -> None:
    app, logs = host
    JWTManager(app)
    app.add_url_rule("/enter", "enter", make_tokens, methods=["POST"])
    bare, named = FlaskJWTExtended(), FlaskJWTExtended(endpoint=["enter", "entre"], logout_endpoint="leave")
    assert [gap.split(":")[0] for gap in bare.find_gaps(app)] == ["sign-outs leave no trace"]
    app.view_functions["enter"] = lambda: make_tokens()
    (failures, sign_outs) = FlaskJWTExtended().find_gaps(app)
    assert 'FlaskJWTExtended(endpoint="' in failures and 'logout_endpoint="' in sign_outs
    assert list(named.find_gaps(app)) == [
        'the app has no endpoint "entre": correct it in FlaskJWTExtended()',
        'the app has no endpoint "leave": correct it in FlaskJWTExtended()',
    ]
    logs.use(named)
    assert state_of(app).integrations["flask-jwt-extended"] is named


def test_one_object_for_two_apps_learns_for_each_of_them(apps: list[Flask]) -> None:
    logs = MelodyLogs()
    logs.use(FlaskJWTExtended())
    made = [make_host(logs=logs)[0] for _ in range(2)]
    apps.extend(made)
    for app in made:
        add_api(app)
    made[1].view_functions["login"] = lambda: ("no", 401)
    for app in made:
        app.test_client().post("/login", json=WRONG)
    assert [len(rows_of(app)) for app in made] == [1, 0]
