"""The overview and the lists: newest first, in pages, whole or as the part that htmx asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from melody_logs.state import state_of
from melody_logs.storage.database import Database
from tests.admin.conftest import PREFIX, MakeApp, on_each_database
from tests.admin.samples import HOSTILE
from tests.storage.rows import message, sign_in, write

Read = Callable[..., str]
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def ids_of(page: str, kind: str = "sign-in") -> list[int]:
    """Read the ids that the rows of a page link to."""
    return [int(number) for number in re.findall(rf'whole-row" href="{PREFIX}/{kind}/(\d+)"', page)]


@on_each_database
def test_the_overview_has_a_section_for_each_enabled_kind(read: Read) -> None:
    text = read("/")
    assert "49 sign-ins" in text and "4 emails" in text and "2 text messages" in text
    assert ids_of(text) == list(range(49, 39, -1))
    assert ids_of(text, "email") == [4, 3, 2, 1]
    for word in ("Wrong password", "Mailbox full", "Freiburg im Breisgau", "Private address", " min ago"):
        assert word.lower() in text.lower()


def test_disabled_kinds_have_no_section_no_link_and_no_page(make_app: MakeApp) -> None:
    client = make_app(kinds=("email",)).test_client()
    text = client.get(PREFIX + "/").text
    assert f"{PREFIX}/email" in text and f"{PREFIX}/sign-in" not in text and f"{PREFIX}/sms" not in text
    for path in ("/sms", "/sms/1", "/sms/1/body", "/sms/clean", "/sign-in", "/sign-in/1"):
        assert client.get(PREFIX + path).status_code == 404


def test_without_an_enabled_kind_the_overview_says_how_to_enable_one(make_app: MakeApp) -> None:
    text = make_app(kinds=(), filled=False).test_client().get(PREFIX + "/").text
    assert "MELODY_LOGS_ENABLE_SIGN_IN_LOG = True" in text


@pytest.mark.parametrize("path", ["/", "/sign-in", "/email", "/sms"])
def test_an_empty_log_says_what_fills_it(make_app: MakeApp, path: str) -> None:
    text = make_app(filled=False).test_client().get(PREFIX + path).text
    assert "within a second" in text
    assert "<table" not in text


@on_each_database
@pytest.mark.parametrize("size", [10, 25, 50, 100])
def test_the_pages_together_show_every_row_once_newest_first(read: Read, size: int) -> None:
    pages = [read(f"/sign-in?page_size={size}&page_number={number}") for number in range(1, 49 // size + 2)]
    assert [number for page in pages for number in ids_of(page)] == list(range(49, 0, -1))


def test_the_part_for_htmx_is_what_stands_in_the_page(read: Read) -> None:
    for path in ("/sign-in?page_number=2", "/email", "/sign-in?event=all&page_size=25"):
        part = read(path, headers=HTMX)
        assert part.strip() in read(path)
        assert "<html" not in part


@pytest.mark.parametrize(
    "headers", [HTMX | {"HX-Request-Type": "full"}, {"HX-Request": "true", "HX-History-Restore-Request": "true"}]
)
def test_htmx_gets_the_whole_page_where_it_replaces_the_whole_page(read: Read, headers: dict[str, str]) -> None:
    assert "<html" in read("/sign-in?page_number=2", headers=headers)


@on_each_database
def test_a_page_beyond_the_last_shows_the_last(read: Read) -> None:
    assert ids_of(read("/sign-in?page_number=999999999")) == list(range(9, 0, -1))


@pytest.mark.parametrize(
    "query",
    [
        *("page_size=0", "page_size=-1", "page_size=11", "page_size=1000000000", "page_size=abc", "event=sign_out"),
        *("page_number=0", "page_number=1e3", "page_number=99999999999999999999", "page_number=\u0661", "page_number="),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_in_words(client: FlaskClient, query: str) -> None:
    response = client.get(f"{PREFIX}/sign-in?{query}")
    assert response.status_code == 400
    assert f"&#34;{query.split('=')[0]}&#34;" in response.text


@on_each_database
def test_other_events_than_sign_ins_are_shown_when_asked_for(read: Read) -> None:
    assert "Sign out" not in read("/sign-in")
    text = read("/sign-in?event=all")
    assert "Sign out" in text and "50 events" in text
    assert "event=all" in re.findall(r'id="ml-page-older" href="([^"]+)"', text)[0]


@pytest.mark.parametrize("path", ["/", "/sign-in?page_size=100", "/sign-in/1", "/email?page_size=100", "/email/1"])
def test_hostile_text_is_text_wherever_it_stands(make_app: MakeApp, path: str) -> None:
    app = make_app(filled=False)
    fields = ("identity", "reason", "method", "user_agent", "referrer", "endpoint", "country", "city", "region", "ip")
    hostile = {name: HOSTILE for name in (*fields, "request_id", "flow_id", "geo_source", "as_org", "timezone")}
    database = state_of(app).database
    write(database, sign_in(**hostile, outcome="failure", marks=HOSTILE))
    names = ("receiver", "subject", "purpose", "template", "provider", "provider_message_id", "response", "content")
    write(database, message("email", **{name: HOSTILE for name in names}, user_id=HOSTILE))
    response = app.test_client().get(PREFIX + path)
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;{{7*7}}" in response.text
    assert "\u202e" not in response.text and "\u200b" not in response.text
    assert "[U+202E]gnp.exe[U+200B]" in response.text


def test_long_addresses_are_cut_in_the_middle_and_whole_on_hover(app_with_long: FlaskClient) -> None:
    text = app_with_long.get(PREFIX + "/email").text
    assert f'title="{"a" * 300}@example.org"' in text
    assert "aaaa…" in text and "@example.org</a>" in text


@pytest.fixture
def app_with_long(make_app: MakeApp) -> FlaskClient:
    """A visitor of an app with one email to a very long address."""
    app = make_app(filled=False)
    write(state_of(app).database, message(receiver=f"{'a' * 300}@example.org", subject="word " * 60))
    return app.test_client()


def test_a_page_makes_few_queries_however_many_rows_it_shows(make_app: MakeApp) -> None:
    """And the lists never read a message body."""
    app = make_app(filled=False)
    database: Database = state_of(app).database
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    def count(path: str) -> int:
        statements.clear()
        assert app.test_client().get(PREFIX + path).status_code == 200
        return len(statements)

    event.listen(database.engine, "before_cursor_execute", note)
    paths = ("/", "/email?page_size=100", "/retention")
    counted = {}
    # The first page of a process also looks for what leaves no trace.
    assert count("/") <= 60
    for rows in (1, 99):
        write(database, *(message(content="body") for _ in range(rows)), age=timedelta(days=1))
        counted[rows] = [count(path) for path in paths]
        assert not any(re.search(r"\.content\b", statement) for statement in statements)
    assert counted[1] == counted[99]
    assert max(counted[99]) <= 40


def test_pages_work_on_each_database(make_app: MakeApp, database_url: str) -> None:
    client = make_app(url=database_url).test_client()
    for path in ("/", "/sign-in?page_number=5", "/sign-in/13", "/email/4", "/sms/clean", "/retention", "/health"):
        assert client.get(PREFIX + path).status_code == 200


NOBODY = "nobody@127.0.0.1:1/logs"


@pytest.mark.parametrize("url", ["", f"postgresql+psycopg://{NOBODY}", f"mysql+pymysql://{NOBODY}"])
def test_a_database_without_tables_or_without_answer_is_explained(make_app: MakeApp, url: str) -> None:
    client = make_app(migrated=False, url=url).test_client()
    for path in ("/", "/sign-in", "/email/1", "/retention", "/sms/clean"):
        response = client.get(PREFIX + path)
        assert response.status_code == 503
        assert "entries wait on the disk" in response.text
        assert "Traceback" not in response.text and "SELECT" not in response.text
        assert "flask melody-logs" in response.text
    assert client.get(PREFIX + "/health").status_code == 200
