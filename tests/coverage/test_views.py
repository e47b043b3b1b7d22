"""Views that look like authentication: those that leave no trace are named, those that leave one are not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from flask import Flask, redirect, session
from flask.views import MethodView
from flask_login import LoginManager

from melody_logs import MelodyLogs
from melody_logs.coverage import examine
from melody_logs.integrations import Integration
from melody_logs.signals import sign_in_attempted
from melody_logs.state import State, state_of
from tests.hosts import close_host, make_host
from tests.integrations.security_host import SecurityHost
from tests.storage.rows import message, sign_in, write


@pytest.fixture
def host(sqlite_url: str, tmp_path: Any) -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host(sqlite_url, tmp_path=tmp_path)
    yield app, logs
    close_host(app)


def silent() -> str:
    """A view that records nothing."""
    return "…"


def endpoints_told(app: Flask) -> list[str]:
    """List the remarks about views."""
    with app.app_context():
        return [remark.text for remark in examine(app).remarks if remark.name == "Sign-in views"]


@pytest.mark.parametrize(
    ("path", "endpoint", "what"),
    [
        ("/login", "auth.login", "a sign-in"),
        ("/account/sign-in", "a", "a sign-in"),
        ("/x", "LoginView", "a sign-in"),
        ("/api/token", "token", "a sign-in"),
        ("/api/token/refresh", "b", "a token refresh"),
        ("/forgot-password", "c", "a password reset"),
        ("/reset/<token>", "d", "a password reset"),
        ("/two-factor", "e", "a second factor"),
        ("/verify_otp", "f", "a second factor"),
        ("/signup", "g", "a registration"),
    ],
)
def test_view_without_a_trace_is_named(host: tuple[Flask, MelodyLogs], path: str, endpoint: str, what: str) -> None:
    app, _ = host
    app.add_url_rule(path, endpoint, silent, methods=["POST"])
    assert endpoints_told(app) == [f'POST {path} ("{endpoint}") looks like {what} and leaves no trace']


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [("/blogging", "blog.ingest"), ("/items/<token>", "items"), ("/designing", "design"), ("/logout", "auth.logout")],
)
def test_other_views_are_not(host: tuple[Flask, MelodyLogs], path: str, endpoint: str) -> None:
    app, _ = host
    app.add_url_rule(path, endpoint, silent, methods=["POST"])
    app.add_url_rule("/sign-in", "form", silent)
    assert endpoints_told(app) == []


def test_watched_view_is_covered(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", silent, methods=["POST"])
    logs.watch_sign_in("auth.login")
    assert endpoints_told(app) == []


def make_recording_views(logs: MelodyLogs) -> dict[str, Callable[..., Any]]:
    """Make login views that record in the ways that the documentation has."""

    def direct() -> str:
        logs.record_sign_in(success=True)
        return "in"

    def by_signal() -> str:
        sign_in_attempted.send(None)
        return "in"

    def nested() -> str:
        def inner() -> None:
            logs.record_sign_in(success=False)

        inner()
        return "in"

    @functools.wraps(direct)
    def wrapped() -> str:
        return direct()

    class ByClass(MethodView):
        def post(self) -> str:
            logs.record_sign_in(success=True)
            return "in"

    return {
        "direct": direct,
        "by_signal": by_signal,
        "nested": nested,
        "wrapped": wrapped,
        "partial": functools.partial(direct),
        "class": ByClass.as_view("class"),
        "helper": calls_helper,
    }


def calls_helper() -> str:
    helper()
    return "in"


def helper() -> None:
    sign_in_attempted.send(None, success=True)


@pytest.mark.parametrize("way", ["direct", "by_signal", "nested", "wrapped", "partial", "class", "helper"])
def test_view_whose_code_records_is_covered(host: tuple[Flask, MelodyLogs], way: str) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", make_recording_views(logs)[way], methods=["POST"])
    assert endpoints_told(app) == []


def test_view_that_is_seen_in_the_rows_is_covered(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    for name in ("login", "signup", "forgot"):
        app.add_url_rule(f"/{name}", name, silent, methods=["POST"])
    write(
        state_of(app).database,
        sign_in(endpoint="login", outcome="failure"),
        message(endpoint="signup"),
        message("sms", endpoint="forgot"),
    )
    assert endpoints_told(app) == []


def test_view_that_only_ever_succeeds_is_named(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    app.add_url_rule("/login", "login", silent, methods=["POST"])
    write(state_of(app).database, *[sign_in(endpoint="login", ip=None) for _ in range(25)])
    assert endpoints_told(app) == ['POST /login ("login"): only successes are recorded']


class Covering(Integration):
    """An integration that sees one view, and says what it cannot see."""

    name = "Covering"
    distribution = ""
    module = "covering"
    records = "sign-ins"
    gaps: ClassVar[list[str]] = []

    def connect(self, app: Flask, state: State) -> None:
        """Connect nothing."""

    def covers(self, app: Flask, endpoint: str) -> bool:
        return endpoint == "login"

    def find_gaps(self, app: Flask) -> list[str]:
        return self.gaps


def test_view_of_an_integration_is_covered_and_a_gap_is_told_once(
    host: tuple[Flask, MelodyLogs], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, logs = host
    app.add_url_rule("/login", "login", silent, methods=["POST"])
    app.add_url_rule("/token", "token", silent, methods=["POST"])
    logs.use(Covering())
    assert [text.partition('"')[2][:5] for text in endpoints_told(app)] == ["token"]
    monkeypatch.setattr(Covering, "gaps", ['failures at "token" are not seen: watch it'])
    assert endpoints_told(app) == []
    with app.app_context():
        (remark,) = examine(app).remarks
    assert (remark.name, remark.text, remark.remedy) == ("Covering", 'failures at "token" are not seen', "watch it")


def test_login_view_of_flask_login_is_covered_before_any_request(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    manager = LoginManager(app)
    manager.login_view = "auth.login"
    app.add_url_rule("/login", "auth.login", silent, methods=["GET", "POST"])
    app.add_url_rule("/api/token", "api.token", silent, methods=["POST"])
    assert endpoints_told(app) == ['POST /api/token ("api.token") looks like a sign-in and leaves no trace']


@pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
def test_views_of_flask_security_are_covered() -> None:
    security_host = SecurityHost({"REGISTERABLE": True, "RECOVERABLE": True, "TWO_FACTOR": True})
    assert endpoints_told(security_host.app) == []
    security_host.set_up_second_factor("sms")
    security_host.sign_in("wrong")
    security_host.sign_in()
    security_host.client.post("/tf-validate", data={"code": security_host.read_code()})
    flows = {row.flow_id for row in [*security_host.rows(), *security_host.rows("sms")]}
    assert len(security_host.rows()) == 3 and len(flows - {None}) == 1
    security_host.close()


def test_remedy_works(host: tuple[Flask, MelodyLogs]) -> None:
    """The line that the report gives is the line that makes it silent, and the attempts come."""
    app, logs = host

    @app.post("/login", endpoint="auth.login")
    def login() -> Any:
        session["user_id"] = 7
        return redirect("/")

    with app.app_context():
        (remark,) = [one for one in examine(app).remarks if one.name == "Sign-in views"]
    exec(remark.remedy.partition(", or ")[0], {"logs": logs})
    app.test_client().post("/login", data={"email": "ann@example.org"})
    assert endpoints_told(app) == []
    assert state_of(app).recorder.failures.totals() == {}
