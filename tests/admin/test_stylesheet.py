"""A host's own stylesheet, and the sources that its layout needs: added to our policy, and to no body's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import g, request

from melody_logs.admin.headers import BODY_POLICY, PAGE_POLICY
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.test_host_layout import findings_of
from tests.docs import fenced, page

SOURCES = {"style-src": ["https://cdn.example", "'unsafe-inline'"], "font-src": "https://fonts.example"}


def stylesheets(text: str) -> list[str]:
    """List the addresses of the stylesheets of a page, in their order."""
    return re.findall(r'<link rel="stylesheet" href="([^"]+)">', text)


def policy_of(answer: Any) -> dict[str, str]:
    """Read the policy of an answer."""
    return dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("logs.css", "/static/logs.css"),
        ("/look/logs.css?v=2", "/look/logs.css?v=2"),
        ("https://cdn.example:8443/logs.css", "https://cdn.example:8443/logs.css"),
    ],
)
def test_the_stylesheet_of_the_host_comes_after_ours(
    make_app: MakeApp, tmp_path: Path, given: str, address: str
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "logs.css").write_text(":root { --ml-accent: #0b6b53 }")
    app = make_app(MELODY_LOGS_STYLESHEET=given)
    answer = app.test_client().get(f"{PREFIX}/sign-in")
    ours, theirs = stylesheets(answer.text)
    assert "melody-logs.css" in ours and theirs == address
    expected = "'self' https://cdn.example:8443" if given.startswith("https") else "'self'"
    assert policy_of(answer)["style-src"] == expected
    assert policy_of(answer)["font-src"] == "'self'"


def test_a_stylesheet_that_is_not_there_is_left_out_and_told(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(MELODY_LOGS_STYLESHEET="logs.css")
    client = app.test_client()
    assert [len(stylesheets(client.get(f"{PREFIX}{path}").text)) for path in ("/", "/sign-in")] == [1, 1]
    assert caplog.text.count('"MELODY_LOGS_STYLESHEET" is "logs.css", which the static folder of the app does not') == 1
    assert "Stylesheet" in findings_of(app)


def test_sources_of_the_host_are_added_to_the_policy_of_the_pages_alone(make_app: MakeApp) -> None:
    app = make_app(MELODY_LOGS_CONTENT_SECURITY_POLICY=SOURCES)
    client = app.test_client()
    policy = policy_of(client.get(f"{PREFIX}/email/4"))
    assert policy["style-src"] == "'self' https://cdn.example 'unsafe-inline'"
    assert policy["font-src"] == "https://fonts.example"
    assert policy["script-src"] == "'self'" and policy["default-src"] == "'none'"
    assert client.get(f"{PREFIX}/email/4/body").headers["Content-Security-Policy"] == BODY_POLICY


def test_the_documented_way_adds_a_nonce_to_pages_and_to_no_body(make_app: MakeApp) -> None:
    app = make_app()
    code = next(code for code in fenced(page("pages.md"), "python") if "allow_nonce" in code)
    exec(code, {"app": app, "g": g, "request": request})
    app.before_request(lambda: setattr(g, "nonce", "abc"))
    client = app.test_client()
    assert policy_of(client.get(f"{PREFIX}/email/4"))["script-src"] == "'nonce-abc' 'self'"
    assert client.get(f"{PREFIX}/email/4/body").headers["Content-Security-Policy"] == BODY_POLICY
    assert "Content-Security-Policy" not in client.get("/").headers


def test_without_these_settings_the_policy_is_ours(make_app: MakeApp) -> None:
    answer = make_app().test_client().get(f"{PREFIX}/")
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
