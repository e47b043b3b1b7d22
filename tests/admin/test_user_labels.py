"""The host's ``user_label`` names the users of a page: asked once, believed nothing but text, never in the way."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from markupsafe import Markup
from sqlalchemy import text

from melody_logs import MelodyLogs, UserLabel
from melody_logs.admin import people
from melody_logs.health import check_health
from melody_logs.jobs.clean import request_clean, work_on_job
from melody_logs.state import state_of
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.samples import HOSTILE
from tests.admin.test_lists import HTMX, ids_of
from tests.hosts import close_host
from tests.storage.rows import message, sign_in, write

ANN = UserLabel("Ann Lee", "/users/42")


class Listener:
    """A ``user_label`` that names nobody and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def __call__(self, user_ids: Sequence[Any]) -> dict[Any, str]:
        self.asked.append(list(user_ids))
        return {}


PATHS = ("/", "/sign-in", "/sign-in/1", "/email", "/email/1", "/sms", "/sign-in/clean/1", "/retention")
Label = Callable[[Sequence[Any]], Any]


@pytest.fixture
def label(make_app: MakeApp) -> Callable[..., Flask]:
    """A function that makes an app with a row of user 42 in each log, a clean-up of hers, and a ``user_label``."""

    def make(function: Label | None, **config: Any) -> Flask:
        app = make_app(filled=False, **config)
        state = state_of(app)
        state.seams.user_label = function
        known: dict[str, Any] = {"user_id": "42", "user_id_is_integer": True}
        write(state.database, sign_in(identity="ann@example.org", **known), sign_in(user_id="x-7"), sign_in())
        write(state.database, message(**known), message("sms", **known))
        with state.database.read() as connection:
            cutoff = state.database.now(connection) - timedelta(days=30)
        job = request_clean(state.database, "sign-in", cutoff, actor="user 42")
        work_on_job(state.database, job.id, budget_seconds=5)
        return app

    return make


def test_users_have_a_name_and_a_link_wherever_they_stand(label: Callable[..., Flask]) -> None:
    client = label(lambda ids: {42: ANN}).test_client()
    for path in PATHS:
        assert '<a href="/users/42"' in client.get(PREFIX + path).text.replace('class="ml-person" ', ""), path
    assert ">Ann Lee</a>" in client.get(f"{PREFIX}/sign-in/1").text
    assert "Ann Lee (user 42)" in client.get(f"{PREFIX}/sign-in/clean/1").text


def test_an_id_without_a_label_stays_an_id(label: Callable[..., Flask]) -> None:
    """A user who is no more, or whom the host does not name."""
    client = label(lambda ids: {"42": "Ann Lee", 7: "nobody asked"}).test_client()
    page = client.get(f"{PREFIX}/sign-in").text
    assert re.search(r'data-label="User"><a class="ml-over-row"[^>]*title="Ann Lee \(user 42\)">Ann Lee</a>', page)
    assert re.search(r'data-label="User"><span>x-7</span>', page)
    assert re.search(r'bare" data-label="User"><span></span>', page)
    assert "nobody asked" not in page


def test_without_the_function_there_is_no_column(label: Callable[..., Flask]) -> None:
    assert ">User<" not in label(None).test_client().get(f"{PREFIX}/sign-in").text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_host_is_asked_once_for_the_distinct_ids_as_it_gave_them(
    label: Callable[..., Flask], headers: dict[str, str]
) -> None:
    listener = Listener()
    asked = listener.asked
    app = label(listener)
    write(state_of(app).database, *(sign_in(user_id=str(n % 7), user_id_is_integer=True) for n in range(95)))
    write(state_of(app).database, sign_in(user_id="42"))
    client = app.test_client()
    for path, expected in {
        "/sign-in?page_size=100": [42, "x-7", *range(7)],
        "/": [42, *range(7)],
        "/email": [42],
        "/sign-in/1": [42],
        "/sign-in/2": ["x-7"],
    }.items():
        asked.clear()
        client.get(PREFIX + path, headers=headers)
        assert len(asked) == 1, path
        assert sorted(asked[0], key=str) == sorted(expected, key=str), path
    for path in ("/health", "/sms/clean", "/sign-in/3", "/nothing"):
        asked.clear()
        client.get(PREFIX + path, headers=headers)
        assert asked == [], path


def test_the_pages_of_a_running_clean_up_do_not_ask(label: Callable[..., Flask]) -> None:
    listener = Listener()
    asked = listener.asked
    app = label(listener, kinds=("sms",))
    database = state_of(app).database
    write(database, *(message("sms") for _ in range(3)), age=timedelta(days=40))
    with database.read() as connection:
        cutoff = database.now(connection) - timedelta(days=30)
    job = request_clean(database, "sms", cutoff, actor="user 42")
    path = f"{PREFIX}/sms/clean/{job.id}"
    head = app.test_client().head(path)
    assert head.status_code == 200 and asked == []
    assert "Asked for by" in app.test_client().get(path).text
    # A number, as in rows: PostgreSQL compares no integer with text.
    assert asked == [[42]]


def _raise(ids: Sequence[Any]) -> Any:
    raise RuntimeError("the directory is down")


def _not_found(ids: Sequence[Any]) -> Any:
    from flask import abort

    abort(404)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_raise, "RuntimeError: the directory is down"),
        (_not_found, "NotFound"),
        (lambda ids: None, "it returned NoneType"),
        (lambda ids: "Ann", "it returned str"),
        (lambda ids: ["Ann"], "it returned list"),
        (lambda user_id: {user_id: "Ann"}, "unhashable type"),
        (lambda ids: {42: 5}, "gave int for the user 42"),
        (lambda ids: {42: ("Ann", "/a", "b")}, "gave tuple for the user 42"),
        (lambda: {}, "TypeError"),
    ],
)
def test_a_function_that_fails_leaves_the_page_whole_with_plain_ids(
    label: Callable[..., Flask], caplog: pytest.LogCaptureFixture, function: Any, words: str
) -> None:
    app = label(function)
    client = app.test_client()
    with caplog.at_level(logging.ERROR, logger="melody_logs"):
        for path in PATHS * 2:
            assert client.get(PREFIX + path).status_code == 200
    assert ids_of(client.get(f"{PREFIX}/sign-in").text) == [3, 2, 1]
    assert "<span>42</span>" in client.get(f"{PREFIX}/sign-in").text
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1 and words in told[0] and "it gets the list of the user ids of a page" in told[0]
    with app.app_context():
        finding = next(one for one in check_health(state_of(app)).findings if one.name == "User labels")
    assert words in finding.text and finding.level == "warning"


def test_health_is_well_again_once_the_function_works(label: Callable[..., Flask]) -> None:
    app = label(_raise)
    client = app.test_client()
    client.get(f"{PREFIX}/sign-in")
    assert "User labels" in client.get(f"{PREFIX}/health").text
    state_of(app).seams.user_label = lambda ids: {42: ANN}
    assert ">Ann Lee</a>" in client.get(f"{PREFIX}/sign-in").text
    assert "User labels" not in client.get(f"{PREFIX}/health").text


def test_a_slow_function_rests_for_a_minute(
    label: Callable[..., Flask], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "SLOW_SECONDS", 0.0)
    calls = []

    def slow(ids: Sequence[Any]) -> dict[int, UserLabel]:
        calls.append(ids)
        return {42: ANN}

    app = label(slow)
    client = app.test_client()
    assert ">Ann Lee</a>" in client.get(f"{PREFIX}/sign-in").text
    assert "Ann Lee" not in client.get(f"{PREFIX}/sign-in").text
    assert len(calls) == 1
    assert re.search(r"user_label took \d+\.\d s, so pages show plain ids for 60 s", caplog.text)
    state_of(app).troubles.pause("User labels", 0)
    assert ">Ann Lee</a>" in client.get(f"{PREFIX}/sign-in").text


@pytest.mark.parametrize("name", [HOSTILE, Markup("<b>Ann</b>"), Markup(HOSTILE)])
def test_hostile_names_are_text(label: Callable[..., Flask], name: str) -> None:
    client = label(lambda ids: {42: UserLabel(name, "/users/42"), "x-7": name}).test_client()
    for path in PATHS:
        page = client.get(PREFIX + path).text
        assert "<b>Ann" not in page and "<script>alert" not in page and "\u202e" not in page
        assert "&lt;b&gt;Ann" in page or "&lt;script&gt;alert(1)" in page


class Trusted(str):
    """Text that says of itself that it is HTML."""

    def __html__(self) -> str:
        return "<script>alert(1)</script>"


@pytest.mark.parametrize("text_type", [Markup, Trusted])
def test_text_that_calls_itself_safe_is_written_as_text(label: Callable[..., Flask], text_type: type[str]) -> None:
    given = (text_type("<b>Ann</b>"), text_type('/users/42"><script>alert(1)</script>'))
    page = label(lambda ids: {42: given}).test_client().get(f"{PREFIX}/sign-in").text
    assert "&lt;b&gt;Ann&lt;/b&gt;" in page and "/users/42&#34;&gt;&lt;script&gt;" in page
    assert "<script>alert(1)" not in page


def test_a_long_name_is_cut(label: Callable[..., Flask]) -> None:
    page = label(lambda ids: {42: "long " * 100_000}).test_client().get(f"{PREFIX}/sign-in").text
    assert ">long long long long long long l…</a>" in page and len(page) < 20_000


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\t/evil.example",
            "/\\evil",
        ),
        *(" javascript:alert(1)", "java\nscript:alert(1)", "users/42", "http:", "https:///x", "http://[", 5, b"/x"),
        "/" + "a" * 3_000,
    ],
)
def test_an_address_that_may_run_or_lead_astray_is_no_link(
    label: Callable[..., Flask], caplog: pytest.LogCaptureFixture, url: Any
) -> None:
    client = label(lambda ids: {42: ("Ann Lee", url)}).test_client()
    page = client.get(f"{PREFIX}/sign-in").text
    assert "Ann Lee" in page and 'class="ml-person"' not in page
    assert "neither http(s) nor a path" in caplog.text
    assert 'href="/users' not in client.get(f"{PREFIX}/sign-in/1").text


@pytest.mark.parametrize("url", ["/users/42?a=b#c", "https://people.example/42", "http://localhost:5000/x"])
def test_addresses_of_the_web_and_paths_of_the_site_are_links(label: Callable[..., Flask], url: str) -> None:
    page = label(lambda ids: {42: ("Ann Lee", url)}).test_client().get(f"{PREFIX}/sign-in").text
    assert f'<a class="ml-person" href="{url}" title="Ann Lee (user 42)">Ann Lee</a>' in page


def test_the_function_runs_with_the_hosts_session_and_its_failed_query_breaks_no_page(
    postgresql_url: str, tmp_path: Any
) -> None:
    """A failed statement leaves the host's transaction unusable; ours are on connections of their own."""
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(
        SECRET_KEY="a key for tests", SQLALCHEMY_DATABASE_URI=postgresql_url, MELODY_LOGS_ENABLE_SIGN_IN_LOG=True
    )
    db = SQLAlchemy(app)
    logs = MelodyLogs(app, db)
    logs.admin_access(lambda: "read")
    statements = iter(["SELECT no_such_column", "SELECT 'Ann Lee'"])

    @logs.user_label
    def name_users(ids: Sequence[Any]) -> dict[Any, str]:
        return dict.fromkeys(ids, db.session.execute(text(next(statements))).scalar_one())

    try:
        assert app.test_cli_runner().invoke(args=["melody-logs", "db", "upgrade"]).exit_code == 0
        write(state_of(app).database, sign_in(user_id="42", user_id_is_integer=True))
        client = app.test_client()
        pages = [client.get(f"{PREFIX}/sign-in") for _ in range(2)]
        assert [page.status_code for page in pages] == [200, 200]
        assert "<span>42</span>" in pages[0].text and ">Ann Lee</a>" in pages[1].text
    finally:
        with app.app_context():
            db.engine.dispose()
        close_host(app)
