"""One row in full, and the viewer of a message."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import String

from melody_logs.state import state_of
from melody_logs.storage.models import MODELS
from melody_logs.vocabulary import KINDS, Kind
from tests.admin.conftest import PREFIX, MakeApp, on_each_database
from tests.admin.samples import HOSTILE_BODY, HTML_BODY
from tests.storage.rows import message, sign_in, write

Read = Callable[..., str]
#: Inner state of finding the location, and what is shown as something else.
NOT_SHOWN = {"user_id_is_integer", "geo_attempts", "geo_state", "content"}


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
