"""One row in full, and the viewer of a message."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import String

from melody_logs.state import state_of
from melody_logs.storage.deliveries import DeliveryReport
from melody_logs.storage.models import MODELS
from melody_logs.storage.writer import write_rows
from melody_logs.vocabulary import KINDS, Kind
from tests.admin.conftest import PREFIX, MakeApp, on_each_database
from tests.admin.samples import HOSTILE_BODY, HTML_BODY, counted_sign_in
from tests.storage.rows import NOW, message, sign_in, write

Read = Callable[..., str]
#: How the icon of many begins.
LAYERS = '<path d="M8 2l6 3.2-6 3.2-6-3.2z'
#: Inner state of finding the location, and what is shown as something else.
NOT_SHOWN = {"user_id_is_integer", "geo_attempts", "geo_state", "content", "samples", "delivery"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_shown(make_app: MakeApp, kind: Kind) -> None:
    """Each text column is filled with its own name, and each name stands on the page."""
    app = make_app(filled=False)
    table = MODELS[kind].__table__
    texts = [
        column.name for column in table.columns if isinstance(column.type, String) and column.name not in NOT_SHOWN
    ]
    short = {"country": "AQ", "continent": "XY", "ip": "192.0.2.77", "content_type": "text/plain"}
    values = {name: short.get(name, f"the-{name.replace('_', '-')}") for name in texts}
    values |= {"outcome": "blocked", "event": "recovery"} if kind == "sign-in" else {"status": "complained"}
    values["event_id"] = "0199-event"
    row = sign_in(**values) if kind == "sign-in" else message(kind, **values)
    write(state_of(app).database, row)
    text = app.test_client().get(f"{PREFIX}/{kind}/1").text
    for name, value in values.items():
        assert value.lower() in text.lower(), name


@on_each_database
def test_a_sign_in_says_what_who_where_and_with_what(read: Read) -> None:
    text = read("/sign-in/13")
    for words in ("What happened", "Who", "Where", "Device", "Record", "Boston, Massachusetts, United States"):
        assert words in text
    for words in (
        "United States (US)",
        "42.3601°, -71.0589°",
        "AS64500 Net",
        "GeoLite2-City 2026-09-01",
        "Mozilla/5.0",
    ):
        assert words in text


def test_message_shows_what_its_provider_reported(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    database = state_of(app).database
    write(database, message("sms", provider="twilio", provider_message_id="SM1"), message("sms"))
    reports = [
        DeliveryReport("sms", "twilio", "SM1", status, NOW + timedelta(minutes=minute), detail)
        for status, minute, detail in (("failed", 1, "30003: <b>gone</b>\u202e"), ("sent", 0, None))
    ]
    with database.write() as connection:
        write_rows(connection, database.now(connection), reports)
    text = app.test_client().get(f"{PREFIX}/sms/1").text
    rows = re.findall(r"<tr>.*?</tr>", text.partition("ml-reports-title")[2], re.DOTALL)[1:]
    assert ["Sent</span>" in rows[0], "Not recorded" in rows[0], "14 Mar 2026, 15:09:26 UTC" in rows[0]] == [True] * 3
    assert "Failed</span>" in rows[1] and "30003: &lt;b&gt;gone&lt;/b&gt;[U+202E]" in rows[1]
    assert "ml-reports" not in app.test_client().get(f"{PREFIX}/sms/2").text


@pytest.mark.parametrize("path", ["", "/1"])
def test_counted_row_says_how_many_it_stands_for(make_app: MakeApp, path: str) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, sign_in(outcome="failure", folded_count=1234, last_at=NOW, samples="[]"))
    text = app.test_client().get(f"{PREFIX}/sign-in{path}").text
    assert re.search(r'<span class="ml-mark ml-bad"><svg.*?</svg>Failed \N{MULTIPLICATION SIGN} 1,234</span>', text)
    assert LAYERS in text


def test_counted_row_shows_its_first_and_last_time_and_its_samples(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, counted_sign_in(), sign_in())
    text = app.test_client().get(f"{PREFIX}/sign-in/1").text
    for words in ("14 Mar 2026, 15:09:26 UTC", "14 Mar 2026, 15:10:06 UTC", "7; the other facts are those"):
        assert words in text
    rows = re.findall(r"<tr>.*?</tr>", text.partition("ml-samples-title")[2], re.DOTALL)[1:]
    assert [re.findall(r"203\.0\.113\.\d", row)[0] for row in rows] == ["203.0.113.0", "203.0.113.1"]
    assert all("&lt;b&gt;Tool&lt;/b&gt;[U+202E]" in row and "Wrong password" in row for row in rows)
    assert "ml-samples" not in app.test_client().get(f"{PREFIX}/sign-in/2").text


def test_total_row_names_nobody(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    total = {"ip": None, "geo_state": "not_applicable", "folded_count": 7, "last_at": NOW, "marks": "flood:total"}
    write(state_of(app).database, sign_in(outcome="failure", **total))
    assert app.test_client().get(f"{PREFIX}/sign-in").text.count("Not told apart") == 2
    text = app.test_client().get(f"{PREFIX}/sign-in/1").text
    assert "Flood: counts failures of any name and network" in text
    assert "those of the first" not in text


@pytest.mark.parametrize(
    ("values", "is_claimed"),
    [
        ({"outcome": "failure"}, True),
        ({"outcome": "blocked"}, True),
        ({"outcome": "failure", "user_id": "7"}, False),
        ({"outcome": "success"}, False),
    ],
)
def test_name_that_anybody_could_type_is_called_not_verified(
    make_app: MakeApp, values: dict[str, str], is_claimed: bool
) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, sign_in(identity="ann@example.org", **values))
    text = app.test_client().get(f"{PREFIX}/sign-in/1").text
    assert ("Identity as typed, not verified" in text) is is_claimed


@on_each_database
def test_marks_are_explained_at_the_field_they_concern(read: Read) -> None:
    text = read("/email/4")
    length = re.search(r"Length as sent</dt>.*?</dd>", text, re.DOTALL)
    assert length is not None
    assert "293.0 KB" in length[0] and "cut to the size limit" in length[0] and "secrets were replaced" in length[0]


def test_every_mark_is_explained_somewhere(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, sign_in(marks="user_agent:cut success:invalid transform:failed unheard:of"))
    write(state_of(app).database, message(marks="occurred_at:suspect"))
    text = app.test_client().get(PREFIX + "/sign-in/1").text
    for words in ("cut to the size limit", "not usable and was left out", "Transform: the host", "Unheard: of"):
        assert words in text
    when = re.search(r"When</dt>.*?</dd>", app.test_client().get(PREFIX + "/email/1").text, re.DOTALL)
    assert when is not None and "clock" in when[0]


@pytest.mark.parametrize(
    "row_id", ["999", "0", "-1", "abc", "1e3", "01", "%201", "\u0661", str(2**63), str(2**64), "9" * 400, "1.0"]
)
def test_what_is_no_row_is_not_found(client: FlaskClient, row_id: str) -> None:
    for path in (f"/email/{row_id}", f"/email/{row_id}/body", f"/email/clean/{row_id}"):
        assert client.get(PREFIX + path).status_code == 404


def test_unknown_kinds_are_not_found(client: FlaskClient) -> None:
    for path in ("/push", "/push/1", "/sign-in/1/body"):
        assert client.get(PREFIX + path).status_code == 404


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/email/4/body", "text/html", HTML_BODY),
        ("/email/4/body?view=source", "text/plain", HTML_BODY),
        ("/email/4/body?view=text", "text/plain", None),
        ("/email/3/body", "text/plain", "Your code: [redacted]"),
        ("/sms/1/body?view=rendered", "text/plain", "Your code is [redacted]"),
        ("/email/1/body", "text/plain", ""),
    ],
)
def test_a_body_is_sent_alone_in_a_sandbox(client: FlaskClient, path: str, kind: str, content: str | None) -> None:
    response = client.get(PREFIX + path)
    assert response.mimetype == kind
    assert content is None or response.text == content
    assert response.headers["Content-Security-Policy"] == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


def test_an_unknown_view_of_a_body_is_refused(client: FlaskClient) -> None:
    assert client.get(PREFIX + "/email/4/body?view=raw").status_code == 400


def test_html_is_rendered_only_in_the_sandboxed_frame(read: Read) -> None:
    rendered = read("/email/4")
    assert f'<iframe sandbox src="{PREFIX}/email/4/body"' in rendered
    assert "Scripts and remote content are blocked" in rendered
    assert "somebody asked" not in rendered
    assert "Choose one" in read("/email/4?view=text") and "&lt;a href" not in read("/email/4?view=text")
    assert "&lt;a href=&#34;https://example.org/reset/[redacted]&#34;&gt;" in read("/email/4?view=source")


@on_each_database
def test_a_text_body_is_shown_as_text(read: Read) -> None:
    text = read("/email/3")
    assert "<iframe" not in text and "Rendered" not in text
    assert "Your code: [redacted]</pre>" in text
    assert "Secrets were replaced before this body was stored." in text


def test_a_message_without_a_body_says_so(read: Read) -> None:
    assert "There is no body." in read("/email/1")


@pytest.mark.parametrize("view", ["rendered", "text", "source"])
def test_a_hostile_body_never_becomes_part_of_our_page(make_app: MakeApp, view: str) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, message(content=HOSTILE_BODY, content_type="text/html"))
    text = app.test_client().get(f"{PREFIX}/email/1?view={view}").text
    for part in ("<script>parent", "<svg onload", "<meta http-equiv", "<form action=", "<base", 'hx-get="{trap}'):
        assert part not in text


def test_a_host_without_escaping_changes_nothing_in_our_pages(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    app.jinja_env.autoescape = False
    write(state_of(app).database, message(subject="<form action=/>", content="<b>body</b>", content_type="text/plain"))
    client = app.test_client()
    for page in ("/email", "/email/1", "/email/1?view=source"):
        text = client.get(PREFIX + page).text
        assert "<form action=/>" not in text and "<b>body</b>" not in text
