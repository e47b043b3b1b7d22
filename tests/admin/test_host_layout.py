"""The pages inside a layout of the host's: whole in it, or whole without it and said why."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort
from jinja2 import ChoiceLoader, DictLoader

from melody_logs.health import check_health
from melody_logs.state import state_of
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.samples import HOSTILE
from tests.admin.test_lists import HTMX, ids_of
from tests.storage.rows import sign_in, write

SHOP = str(Path(__file__).parent / "shop")
PATHS = ("/", "/sign-in?page_number=2", "/sign-in/13", "/email/4", "/sms/clean", "/retention", "/health")
WORKING = "<html><head>{% block head %}{% endblock %}</head><body>{% block content %}{% endblock %}</body></html>"
MakeShop = Callable[..., Flask]


@pytest.fixture
def shop(make_app: MakeApp) -> MakeShop:
    """A function that makes an app whose layout is the shop's."""

    def make(layout: str = "shop/layout.html", **options: Any) -> Flask:
        app = make_app(root_path=SHOP, MELODY_LOGS_BASE_TEMPLATE=layout, **options)
        app.context_processor(lambda: {"visitor": "Ann Lee"})
        return app

    return make


@pytest.fixture
def with_layout(make_app: MakeApp, tmp_path: Path) -> Callable[[str], Flask]:
    """A function that makes an app whose layout has this source."""

    def make(source: str, **options: Any) -> Flask:
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "templates" / "layout.html").write_text(source)
        return make_app(MELODY_LOGS_BASE_TEMPLATE="layout.html", **options)

    return make


@pytest.mark.parametrize("path", PATHS)
def test_every_page_stands_in_the_layout(shop: MakeShop, path: str) -> None:
    text = shop().test_client().get(PREFIX + path).text
    assert re.search(r"<title>[^<]+ · Logs · Example Shop</title>", text)
    for part in ('class="who">Ann Lee<', "1 Example Street", 'name="theme-color"', 'class="melody-logs ml-guest"'):
        assert part in text
    head, body = text.split("</head>")
    assert "melody-logs.css" in head and "melody-logs.js" in head and "melody-logs.css" not in body
    assert [text.count(f"<{tag}") for tag in ("html", "body", "main", "title")] == [1, 1, 1, 1]
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_parts_for_htmx_come_without_the_layout(shop: MakeShop) -> None:
    client = shop().test_client()
    part = client.get(f"{PREFIX}/sign-in?page_number=2", headers=HTMX).text
    assert len(ids_of(part)) == 10 and "Example Shop" not in part
    assert part.strip() in client.get(f"{PREFIX}/sign-in?page_number=2").text


def test_refusals_stand_in_the_layout_too(shop: MakeShop) -> None:
    for app, path, code in ((shop(), "/email/999", 404), (shop(access=None), "/", 403)):
        answer = app.test_client().get(PREFIX + path)
        assert answer.status_code == code and "Example Shop" in answer.text and "ml-problem" in answer.text
        assert "ml-banner" not in answer.text


def test_layout_sees_its_own_values_and_none_of_ours(with_layout: Callable[..., Flask]) -> None:
    names = ("title", "kind", "table", "layout", "count", "page_title", "values")
    app = with_layout(WORKING.replace("<body>", "<body>" + "".join(f"<i>{{{{ {name} }}}}</i>" for name in names)))
    app.context_processor(lambda: {name: f"their {name}" for name in names})
    text = app.test_client().get(f"{PREFIX}/sign-in").text
    assert all(f"<i>their {name}</i>" in text for name in names)
    assert "<h1>Sign-ins</h1>" in text


def test_layout_with_other_blocks_is_adapted_by_a_template_between(
    with_layout: Callable[..., Flask], tmp_path: Path
) -> None:
    app = with_layout(
        '{% extends "theirs.html" %}{% block extra_head %}{% block head %}{% endblock %}{% endblock %}'
        "{% block body %}{% block content %}{% endblock %}{% endblock %}"
    )
    theirs = "<head>{% block extra_head %}{% endblock %}</head><body>theirs {% block body %}{% endblock %}</body>"
    (tmp_path / "templates" / "theirs.html").write_text(theirs)
    text = app.test_client().get(f"{PREFIX}/sign-in").text
    assert "<body>theirs" in text and len(ids_of(text)) == 10 and "Layout" not in findings_of(app)


def test_layout_keeps_the_escaping_and_the_syntax_of_its_app(make_app: MakeApp, tmp_path: Path) -> None:
    """And ours are read as ours, with escaping on, inside it."""
    (tmp_path / "templates").mkdir()
    source = WORKING.replace("<body>", "<body>[[ raw ]] {{ vue }}\n% if raw\n<i>line statement</i>\n% endif\n")
    (tmp_path / "templates" / "layout.html").write_text(source)
    app = make_app(filled=False, MELODY_LOGS_BASE_TEMPLATE="layout.html")
    app.jinja_env.autoescape = False
    app.jinja_env.variable_start_string, app.jinja_env.variable_end_string = "[[", "]]"
    app.jinja_env.line_statement_prefix = "%"
    app.context_processor(lambda: {"raw": "<b>raw</b>"})
    write(state_of(app).database, sign_in(identity=HOSTILE))
    text = app.test_client().get(f"{PREFIX}/sign-in").text
    assert "<b>raw</b> {{ vue }}" in text and "<i>line statement</i>" in text
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text


def findings_of(app: Flask) -> dict[str, str]:
    """Give the text of each finding of health by name, as a process that has shown no page sees it."""
    with app.app_context():
        return {finding.name: finding.text for finding in check_health(state_of(app)).findings}


def _refuse() -> None:
    abort(401)


BROKEN = {
    "no content": (WORKING.replace("content", "main"), 'shows no block "content"'),
    "no head": (WORKING.replace("block head", "block extra"), 'shows no block "head"'),
    "nothing": ("<html></html>", 'shows no block "head" or "content"'),
    "not shown": (WORKING.replace("<head>", "<head>{% if false %}").replace("</head>", "{% endif %}</head>"), '"head"'),
    "syntax": ("{% block %}", "TemplateSyntaxError"),
    "undefined": (WORKING + "{{ nobody.name }}", "UndefinedError"),
    "their abort": (WORKING + "{{ refuse() }}", "Unauthorized"),
    "broken include": (WORKING + '{% include "gone.html" %}', "TemplateNotFound: gone.html"),
    "ours": ('{% extends "melody_logs/base.html" %}', "shows no block"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_pages_do_without_a_layout_that_does_not_work(
    with_layout: Callable[..., Flask], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    source, words = BROKEN[name]
    app = with_layout(source)
    app.jinja_env.globals["refuse"] = _refuse
    client = app.test_client()
    with caplog.at_level(logging.ERROR, logger="melody_logs"):
        pages = [client.get(PREFIX + path) for path in PATHS]
    assert {page.status_code for page in pages} == {200}
    assert all('class="melody-logs ml-document"' in page.text and "left out" not in page.text for page in pages)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith('"MELODY_LOGS_BASE_TEMPLATE" is "layout.html", which ') and words in told[0]
    assert "Layout" in findings_of(app)
    assert "MELODY_LOGS_BASE_TEMPLATE" in pages[-1].text  # the Health page


def test_debug_mode_says_on_the_page_what_is_wrong_with_the_layout(with_layout: Callable[..., Flask]) -> None:
    app = with_layout(WORKING.replace("content", "main"))
    app.debug = True
    text = app.test_client().get(f"{PREFIX}/sign-in").text
    assert "The layout was left out." in text and "shows no block &#34;content&#34;" in text
    assert "{% block content %}{% endblock %}" in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "is in no template folder of the app"),
        (WORKING.replace("content", "main"), 'shows no block "content"'),
        ("{% block %}", "TemplateSyntaxError"),
        (WORKING, None),
        ("{% extends which %}", None),
    ],
)
def test_health_looks_at_the_layout_before_any_page_is_shown(
    with_layout: Callable[..., Flask], tmp_path: Path, source: str | None, words: str | None
) -> None:
    app = with_layout(source or "")
    if source is None:
        (tmp_path / "templates" / "layout.html").unlink()
    text = findings_of(app).get("Layout")
    assert text is None if words is None else text is not None and words in text


def test_a_layout_that_is_mended_is_used_again(with_layout: Callable[..., Flask], tmp_path: Path) -> None:
    app = with_layout("<html></html>")
    app.jinja_env.auto_reload = True
    client = app.test_client()
    assert "ml-document" in client.get(f"{PREFIX}/sign-in").text
    layout = tmp_path / "templates" / "layout.html"
    layout.write_text(WORKING + "<!-- mended -->")
    assert "ml-guest" in client.get(f"{PREFIX}/sign-in").text
    assert "Layout" not in findings_of(app)


def test_a_page_that_fails_is_not_blamed_on_the_layout(shop: MakeShop, caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    assert app.jinja_env.loader is not None
    broken = DictLoader({"melody_logs/retention.html": "{{ 1 // 0 }}"})
    app.jinja_env.loader = ChoiceLoader([broken, app.jinja_env.loader])
    answer = app.test_client().get(f"{PREFIX}/retention")
    assert answer.status_code == 500
    assert "This page could not be made" in answer.text and "Example Shop" in answer.text
    assert "Layout" not in findings_of(app)


def test_a_context_processor_that_fails_breaks_no_page(shop: MakeShop, caplog: pytest.LogCaptureFixture) -> None:
    app = shop()

    @app.context_processor
    def read_basket() -> dict[str, Any]:
        raise RuntimeError("the session is broken")

    for path in PATHS * 2:
        assert app.test_client().get(PREFIX + path).status_code == 200
    assert len([record for record in caplog.records if "the session is broken" in record.getMessage()]) == 1
    assert "Context processors" in findings_of(app)
