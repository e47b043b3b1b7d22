"""A host may replace our templates, and no choice it made for its own changes ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.templating import Environment
from jinja2 import BaseLoader, ChainableUndefined, DictLoader, FileSystemBytecodeCache
from jinja2.ext import Extension
from markupsafe import Markup

from tests.admin.conftest import PREFIX, MakeApp

PATHS = ("/", "/sign-in?page_number=2", "/sign-in/13", "/email/4?view=source", "/sms/clean", "/retention", "/health")


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    """A function that puts a template of ours into the folder of the host's templates."""

    def write(name: str, source: str) -> None:
        path = tmp_path / "templates" / "melody_logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    return write


Put = Callable[[str, str], None]


def test_what_the_host_puts_above_and_below_stands_on_every_page(make_app: MakeApp, put: Put) -> None:
    put("_header.html", "<p>above {{ motto }} {{ request.endpoint }}</p>")
    put("_footer.html", '<p>below <a href="{{ url_for("home") }}">home</a></p>')
    put("_brand.html", "<b>Shop logs</b>")
    app = make_app()
    app.context_processor(lambda: {"motto": "<i>"})
    for path in (*PATHS, "/email/999"):
        text = app.test_client().get(PREFIX + path).text
        assert re.search(r"<p>above &lt;i&gt; melody_logs_admin\.\w+</p>", text), path
        assert '<p>below <a href="/">home</a></p>' in text and "<b>Shop logs</b>" in text
        assert text.index("<main") < text.index("above &lt;i&gt;") < text.index("<h1") < text.index("<p>below")


def test_the_host_may_add_to_the_fields_of_a_row(make_app: MakeApp, put: Put) -> None:
    put("_entry_more.html", "<p>{{ kind }} {{ row_id + 1 }} {{ event_id|length }} {{ user_id }}</p>")
    client = make_app().test_client()
    assert "<p>sign-in 14 36 42</p>" in client.get(f"{PREFIX}/sign-in/13").text
    assert "<p>sms 3 36 None</p>" in client.get(f"{PREFIX}/sms/2").text


def test_the_host_may_say_in_its_own_words_why_a_log_is_empty(make_app: MakeApp, put: Put) -> None:
    put("_empty.html", "<p>no {{ kind }} so far</p>")
    text = make_app(filled=False).test_client().get(f"{PREFIX}/").text
    assert all(f"<p>no {kind} so far</p>" in text for kind in ("sign-in", "email", "sms"))


def test_a_template_that_replaces_ours_may_include_the_original(make_app: MakeApp, put: Put) -> None:
    put("health.html", '<p>Ask the operators.</p>{% include "melody_logs_original/health.html" %}')
    text = make_app().test_client().get(f"{PREFIX}/health").text
    assert "<p>Ask the operators.</p>" in text and "<h1>Health</h1>" in text


class Shouting(Extension):
    """An extension of a host that changes every template of its own; ours have no such word."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("whisper", "SHOUT")


class OwnEnvironment(Environment):
    """A host's environment."""


class OwnLoaderFlask(Flask):
    """A host that looks for templates in one place only, in no blueprint's folder."""

    def create_global_jinja_loader(self) -> BaseLoader:  # type: ignore[override]
        return DictLoader({"theirs.html": "theirs"})


def _set(**options: Any) -> Callable[[Flask, Path], None]:
    def change(app: Flask, folder: Path) -> None:
        for name, value in options.items():
            setattr(app.jinja_env, name, value)

    return change


def _rename(app: Flask, folder: Path) -> None:
    """Give the names of our macros, values and filters to other things."""
    for name in ("icon", "mark", "when", "layout", "table", "url_for", "melody_logs", "page_link", "title"):
        app.jinja_env.globals[name] = lambda *args, **more: "theirs"
    app.context_processor(lambda: dict.fromkeys(("kind", "groups", "sections", "layout", "url_for"), "theirs"))
    for name in ("e", "escape", "capitalize", "safe", "default", "length"):
        app.jinja_env.filters[name] = lambda *args: "theirs"


def _keep_bytecode(app: Flask, folder: Path) -> None:
    """Keep bytecode that another syntax made, as the host's own use of our templates would."""
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(folder))
    app.jinja_env.autoescape = False
    app.jinja_env.get_template("melody_logs/_table.html")


HOSTS: dict[str, Callable[[Flask, Path], None]] = {
    "no escaping": _set(autoescape=False),
    "trimmed blocks": _set(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True),
    "line statements": _set(line_statement_prefix="<", line_comment_prefix="."),
    "other delimiters": _set(
        variable_start_string="[[", variable_end_string="]]", block_start_string="<%", block_end_string="%>"
    ),
    "other comments": _set(comment_start_string="<p", comment_end_string=">"),
    "lenient about what is missing": _set(undefined=ChainableUndefined),
    "finalizes": _set(finalize=lambda value: Markup("theirs")),
    "own loader": _set(loader=DictLoader({"theirs.html": "theirs"})),
    "no loader": _set(loader=None),
    "own names": _rename,
    "bytecode": _keep_bytecode,
    "extension": lambda app, folder: app.jinja_env.add_extension(Shouting),
    "no cache": _set(cache=None),
}


def pages_of(app: Flask) -> list[str]:
    """Get the pages, without what differs from session to session or from second to second."""
    client = app.test_client()
    changing = (
        r'X-CSRFToken[^>]*>|name="csrf_token" value="[^"]*"|just now|\d+ (?:s|min|h|days?) ago|value="\d{4}-[^"]*"'
    )
    texts = [re.sub(changing, "", client.get(PREFIX + path).text) for path in PATHS]
    return [re.sub(r"\s+", " ", text) for text in texts]


@pytest.fixture
def plain(make_app: MakeApp) -> list[str]:
    """The pages of a host that chose nothing."""
    return pages_of(make_app())


@pytest.mark.parametrize("name", HOSTS)
def test_no_choice_of_the_host_changes_our_pages(
    make_app: MakeApp, tmp_path: Path, plain: list[str], name: str
) -> None:
    app = make_app()
    HOSTS[name](app, tmp_path)
    for path, ours, expected in zip(PATHS, pages_of(app), plain, strict=True):
        assert ours == expected, path


@pytest.mark.parametrize("way", ["environment", "loader"])
def test_no_class_of_the_host_changes_our_pages(
    make_app: MakeApp, plain: list[str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "environment":
        monkeypatch.setattr(Flask, "jinja_environment", OwnEnvironment)
    else:
        monkeypatch.setattr(Flask, "create_global_jinja_loader", OwnLoaderFlask.create_global_jinja_loader)
    app = make_app()
    assert way == "loader" or isinstance(app.jinja_env, OwnEnvironment)
    assert pages_of(app) == plain
