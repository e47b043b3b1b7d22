"""One story: code, wrong and right tries and sign-in have one flow, and the host's session stays its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cachelib import SimpleCache
from flask import Flask, flash, redirect, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.testing import FlaskClient
from flask_session import Session
from itsdangerous import URLSafeSerializer
from werkzeug.wrappers import Response

from melody_logs import MelodyLogs
from melody_logs.recording.flows import LIFETIME_SECONDS, SESSION_KEY
from melody_logs.state import state_of
from melody_logs.vocabulary import KINDS
from tests.docs import fenced, page
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all


def add_two_step_views(app: Flask, logs: MelodyLogs) -> None:
    """Add a login with a password and then a code by mail, as hosts write them."""

    @app.post("/login")
    def login() -> Any:
        if request.form["password"] != "right":
            flash("wrong")
            logs.record_sign_in(identity="ann@example.org", success=False, reason="wrong_password")
            return "wrong", 401
        if request.args.get("clear"):
            session.clear()
        with logs.sending_email(receiver="ann@example.org", content="Your code is 123456", secrets=["123456"]):
            session["pending"] = 7
        logs.record_sign_in(identity="ann@example.org", outcome="challenge", reason="missing_code")
        return "code?"

    @app.post("/code")
    def code() -> Any:
        right = request.form["code"] == "123456"
        if right:
            session.clear()
            session["user_id"] = 7
        logs.record_sign_in(identity="ann@example.org", success=right, method="email_code")
        return ("in", 200) if right else ("no", 401)

    @app.post("/logout")
    def logout() -> Response:
        session.pop("user_id", None)
        logs.record_sign_in(event="sign_out", success=True)
        return redirect("/")


@pytest.fixture
def host() -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host()
    add_two_step_views(app, logs)
    yield app, logs
    close_host(app)


def flows_of(app: Flask, kind: Any = "sign-in") -> list[str | None]:
    return [row.flow_id for row in read_all(state_of(app).database, kind)]


def kept_flow(client: FlaskClient) -> str | None:
    with client.session_transaction() as kept:
        value: str | None = kept.get(SESSION_KEY)
        return value


def post(client: FlaskClient, path: str, **form: str) -> Any:
    return client.post(path, data=form)


def test_code_tries_and_sign_in_are_one_flow_and_the_next_attempt_another(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    client = app.test_client()
    for _ in range(2):
        post(client, "/login", password="wrong")
        post(client, "/login", password="right")
        post(client, "/code", code="0")
        post(client, "/code", code="123456")
        assert kept_flow(client) is None
    first, second = flows_of(app)[:4], flows_of(app)[4:]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] and second[0] and first[0] != second[0]
    assert flows_of(app, "email") == [first[0], second[0]]
    assert len(first[0]) <= 128


def test_another_visitor_has_another_flow(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    for _ in range(2):
        post(app.test_client(), "/login", password="right")
    assert len(set(flows_of(app))) == 2


def test_visitor_without_a_session_gets_none(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/token")
    def token() -> str:
        logs.record_email(receiver="ann@example.org", content="New device")
        logs.record_sign_in(identity="ann@example.org", success=False)
        return "no"

    client = app.test_client()
    answers = [post(client, "/token") for _ in range(2)]
    assert [("Set-Cookie" in answer.headers, "Vary" in answer.headers) for answer in answers] == [(False, False)] * 2
    first, second = flows_of(app)
    assert [first, second] == flows_of(app, "email") and first != second


def test_lone_events_begin_no_flow(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/simple")
    def simple() -> str:
        session["user_id"] = 7
        logs.record_sign_in(user_id=7, success=True)
        return "in"

    client = app.test_client()
    post(client, "/simple")
    post(client, "/logout")
    assert flows_of(app) == [None, None]
    assert kept_flow(client) is None


def test_notice_after_a_sign_in_costs_no_second_entry(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/noticed")
    def noticed() -> str:
        logs.record_sign_in(identity="ann@example.org", user_id=7, success=True)
        logs.record_email(receiver="ann@example.org", content="You have signed in")
        return "in"

    post(app.test_client(), "/noticed")
    (sign_in,) = read_all(state_of(app).database, "sign-in")
    assert (sign_in.flow_id, sign_in.version) == (None, 1)
    assert [file.last_appended for file in state_of(app).spool.own_files()] == [2]


def test_session_that_is_only_read_does_not_vary(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.add_url_rule("/public", "public", lambda: "for all")
    app.add_url_rule("/again", "again", lambda: str(logs.record_sign_in(success=False)), methods=["POST"])
    client = app.test_client()
    post(client, "/login", password="wrong")
    for answer in (client.get("/public"), post(client, "/again")):
        assert "Vary" not in answer.headers and "Set-Cookie" not in answer.headers
    assert len(set(flows_of(app))) == 1


def test_entry_before_the_session_began_is_amended(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/late")
    def late() -> str:
        logs.record_sign_in(identity="ann@example.org", success=False)
        session["tries"] = 1
        return "no"

    client = app.test_client()
    post(client, "/late")
    post(client, "/code", code="0")
    (first, second) = read_all(state_of(app).database, "sign-in")
    assert first.flow_id == second.flow_id and first.flow_id
    assert (first.version, second.version) == (2, 1)


@pytest.mark.parametrize("store", ["cookie", "server"])
def test_flow_outlives_a_session_that_the_login_clears(store: str) -> None:
    app, logs = make_host()
    if store == "server":
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
        Session(app)
    add_two_step_views(app, logs)
    client = app.test_client()
    post(client, "/login", password="wrong")
    client.post("/login?clear=1", data={"password": "right"})
    post(client, "/code", code="123456")
    assert len(set(flows_of(app))) == 1 and None not in flows_of(app)
    assert flows_of(app, "email") == flows_of(app)[:1]
    close_host(app)


def test_cleared_session_with_nothing_recorded_is_left_empty(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host

    @app.post("/leave")
    def leave() -> str:
        session.clear()
        return "bye"

    @app.post("/forget")
    def forget() -> str:
        session.pop("pending")
        return "only ours was left"

    client = app.test_client()
    for path in ("/leave", "/forget"):
        post(client, "/login", password="right")
        assert kept_flow(client)
        answer = post(client, path)
        assert "session=;" in answer.headers["Set-Cookie"]
        assert kept_flow(client) is None


def test_sign_out_ends_a_flow(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    client = app.test_client()
    post(client, "/login", password="right")
    post(client, "/logout")
    post(client, "/code", code="0")
    challenge, sign_out, later = flows_of(app)
    assert challenge == sign_out and later not in (None, challenge)


def test_flow_of_an_hour_ago_is_over(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    client = app.test_client()
    post(client, "/login", password="right")
    with client.session_transaction() as kept:
        _, _, flow_id = kept[SESSION_KEY].partition(".")
        kept[SESSION_KEY] = f"{int(time.time()) - LIFETIME_SECONDS:x}.{flow_id}"
    post(client, "/code", code="0")
    first, second = flows_of(app)
    assert second and second != first


@pytest.mark.parametrize("value", [7, "", ".", "zz.flow", "9.", f"{int(time.time()):x}." + "f" * 129, ["a"]])
def test_session_value_that_is_none_of_ours_is_replaced(host: tuple[Flask, MelodyLogs], value: Any) -> None:
    app, _ = host
    client = app.test_client()
    with client.session_transaction() as kept:
        kept[SESSION_KEY] = value
        kept["pending"] = 7
    post(client, "/code", code="0")
    (flow_id,) = flows_of(app)
    kept_value = kept_flow(client)
    assert flow_id and kept_value and kept_value.endswith(flow_id)


def test_what_a_client_sends_is_never_taken_for_a_flow(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    forged = {"flow_id": "forged", SESSION_KEY: "forged", "password": "wrong"}
    client = app.test_client()
    client.set_cookie(SESSION_KEY, "forged")
    client.post("/login?flow_id=forged", data=forged, headers={"X-Flow-Id": "forged", "Flow-Id": "forged"})
    assert "forged" not in str(flows_of(app))


def test_app_without_sessions_records(tmp_path: Any) -> None:
    app, logs = make_host(SECRET_KEY=None, MELODY_LOGS_KEY="a key of the logs alone")

    @app.post("/login")
    def login() -> str:
        logs.record_sms(receiver="+16471231111", content="hello")
        logs.record_sign_in(identity="ann@example.org", success=False)
        return "no"

    assert post(app.test_client(), "/login").status_code == 200
    assert flows_of(app) == flows_of(app, "sms") != [None]
    close_host(app)


class Hostile(SecureCookieSession):
    """A session of the host's own that refuses keys of strangers."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == SESSION_KEY:
            raise RuntimeError("not yours")
        return super().get(key, default)

    def __bool__(self) -> bool:
        return True


class HostileSessions(SecureCookieSessionInterface):
    session_class = Hostile


def test_session_that_fails_loses_no_entry(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.session_interface = HostileSessions()
    app.add_url_rule("/hostile", "hostile", lambda: str(logs.record_sign_in(success=False)), methods=["POST"])
    assert post(app.test_client(), "/hostile").status_code == 200
    assert flows_of(app) == [None]
    assert state_of(app).recorder.failures.totals() == {}


def test_disabled_kinds_leave_the_session_alone() -> None:
    off: dict[str, Any] = {f"MELODY_LOGS_ENABLE_{kind.replace('-', '_').upper()}_LOG": False for kind in KINDS}
    app, logs = make_host(**off)
    add_two_step_views(app, logs)
    client = app.test_client()
    post(client, "/login", password="right")
    assert kept_flow(client) is None
    close_host(app)


def test_flow_that_the_host_hands_over_joins_another_browser(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/forgot")
    def forgot() -> str:
        logs.use_flow(logs.flow_of("token-of-the-link"))
        logs.record_sign_in(event="recovery", success=True, identity="ann@example.org")
        logs.record_email(receiver="ann@example.org", content="…", secrets=["token-of-the-link"])
        return "sent"

    @app.post("/reset")
    def reset() -> str:
        logs.use_flow(logs.flow_of(request.form["token"]))
        session["reset"] = True
        logs.record_sign_in(event="password_reset", success=True, user_id=7)
        return "done"

    post(app.test_client(), "/forgot")
    other = app.test_client()
    post(other, "/reset", token="token-of-the-link")
    post(other, "/code", code="123456")
    (flow_id,) = set(flows_of(app))
    assert flows_of(app, "email") == [flow_id] and flow_id and "token" not in flow_id
    assert kept_flow(other) is None


def test_flow_of_a_token_api_and_of_jobs_is_given_by_the_caller(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.get("/begin")
    def begin() -> str:
        logs.record_sign_in(success=False)
        return str(logs.flow())

    # The entry was written before there was a flow, and gets it when the request ends.
    flow_id = app.test_client().get("/begin").text
    assert flows_of(app) == [flow_id]
    with app.app_context():
        assert logs.flow() is None
        logs.use_flow("x")
        logs.record_sms(receiver="+16471231111", flow_id=flow_id)
        logs.record_sms(receiver="+16471231111")
    assert flows_of(app, "sms") == [flow_id, None]
    with app.test_request_context("/"):
        for useless in (None, "", b""):
            logs.use_flow(useless)
        logs.use_flow("a" * 200)
        assert logs.flow() == "a" * 128


def test_given_flow_is_kept_and_the_second_phase_changes_nothing(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/send")
    def send() -> str:
        session["visited"] = True
        with logs.sending_email(receiver="ann@example.org", flow_id="given"):
            logs.record_sign_in(success=False, flow_id="other")
        with logs.sending_sms(receiver="+16471231111"):
            logs.use_flow("begun-meanwhile")
        return "sent"

    post(app.test_client(), "/send")
    (sms,) = read_all(state_of(app).database, "sms")
    assert (flows_of(app, "email"), flows_of(app)) == (["given"], ["other"])
    assert sms.status == "sent" and sms.flow_id not in (None, "begun-meanwhile")


def test_counted_row_is_of_no_flow() -> None:
    app, _ = make_host(MELODY_LOGS_FLOOD_WHOLE_PER_MINUTE=2)
    add_two_step_views(app, _)
    client = app.test_client()
    for _ in range(5):
        post(client, "/login", password="wrong")
    rows = read_all(state_of(app).database, "sign-in")
    assert [(row.folded_count, row.flow_id is None) for row in rows] == [(None, False), (None, False), (3, True)]
    close_host(app)


def test_watched_view_ends_its_flow(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/watched", endpoint="watched")
    def watched() -> Response | str:
        if request.form["password"] != "right":
            flash("wrong")
            return "<form>"
        session.clear()
        session["user_id"] = 7
        logs.record_email(receiver="ann@example.org", content="You signed in")
        return redirect("/")

    logs.watch_sign_in("watched")
    client = app.test_client()
    post(client, "/watched", password="wrong")
    post(client, "/watched", password="right")
    assert len({*flows_of(app), *flows_of(app, "email")}) == 1
    assert kept_flow(client) is None


def test_documented_ways_without_a_session_join(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    signed = URLSafeSerializer("the host's own key")
    names: dict[str, Any] = {
        "app": app,
        "logs": logs,
        "check_password": lambda form: SimpleNamespace(id=7, email=form["email"]),
        "send_code": lambda user: logs.record_sms(receiver="+16471231111", content="123456", secrets=["123456"]),
        "sign": signed.dumps,
        "verify": signed.loads,
        "check_code": lambda user, code: code == "123456",
        "send_reset_mail": lambda user, token: logs.record_email(receiver=user.email, content=token, secrets=[token]),
    }
    for code in fenced(page("stories.md"), "python"):
        exec(code, names)
    step = app.test_client().post("/api/login", json={"email": "ann@example.org"}).json
    for code in ("0", "123456"):
        app.test_client().post("/api/code", json={**(step or {}), "code": code})
    assert len({*flows_of(app), *flows_of(app, "sms")}) == 1
    with app.test_request_context("/"):
        names["forgot_password"](SimpleNamespace(email="ann@example.org"), "a-long-token")
    with app.test_request_context("/"):
        names["reset_password"]("a-long-token")
    assert flows_of(app, "email") == flows_of(app)[-1:]
