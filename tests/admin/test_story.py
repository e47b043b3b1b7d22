"""The story beside a row: every entry of its flow in order, what was reported of messages, the row itself marked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect

from melody_logs.state import state_of
from melody_logs.storage.stories import MOST_ENTRIES
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.samples import HOSTILE
from tests.admin.test_accessibility import assert_accessible
from tests.servers.browser import OpenPage
from tests.storage.rows import NOW, message, sign_in, write

#: What a provider reported of a message.
REPORTS = [
    {"status": "delivered", "occurred_at": (NOW + timedelta(seconds=9)).isoformat(), "detail": "250 delivered"},
    {"status": "complained", "occurred_at": (NOW + timedelta(seconds=400)).isoformat(), "detail": None},
]


def fill_flow(app: Flask) -> None:
    """Write a code by mail, a wrong and a right try, and rows that have nothing to do with them."""

    def at(seconds: float, **values: Any) -> dict[str, Any]:
        return {"flow_id": "f1", "occurred_at": NOW + timedelta(seconds=seconds), **values}

    who = {"identity": "ann@example.org", "ip": "203.0.113.77"}
    write(
        state_of(app).database,
        message(**at(0, status="complained", purpose="sign_in_code", delivery=json.dumps(REPORTS))),
        sign_in(**at(30, outcome="failure", reason="wrong_code", **who)),
        sign_in(**at(90.5, outcome="success", method="email_code", **who)),
        sign_in(occurred_at=NOW, identity="bo@example.org"),
        message("sms", receiver="+16471231111"),
    )


def steps_of(app: Flask, path: str) -> list[str]:
    """Read the steps of a page's story as text."""
    page = app.test_client().get(PREFIX + path).text
    story = page.partition('id="ml-story-title"')[2].partition("</section>")[0]
    texts = (re.sub(r"<[^>]*>", " ", step) for step in re.findall(r"<li.*?</li>", story, re.DOTALL))
    return [" ".join(text.split()) for text in texts]


def test_steps_are_in_the_order_in_which_they_happened(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    fill_flow(app)
    steps = steps_of(app, "/sign-in/2")
    assert [step.rpartition(" 14 Mar 2026")[0] for step in steps] == [
        "Email Sent Sign in code ann@example.org",
        "Email, as reported Delivered 250 delivered",
        "Sign in Failed Wrong code 203.0.113.77",
        "Sign in Success Email code",
        "Email, as reported Complained",
    ]
    assert [step.rpartition("14 Mar 2026")[2].strip() for step in steps] == [
        "",
        ", +9 s",
        ", +21 s",
        ", +1 min · this row",
        ", +5 min 10 s",
    ]


def test_every_entry_but_the_row_itself_is_linked(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    fill_flow(app)
    for own in ("email/1", "sign-in/1", "sign-in/2"):
        page = app.test_client().get(f"{PREFIX}/{own}").text
        story = page.partition('id="ml-story-title"')[2].partition("</section>")[0]
        links = re.findall(rf'<a href="{PREFIX}/([^"]*)"', story)
        assert links == [one for one in ("email/1", "sign-in/1", "sign-in/2") if one != own]
        assert story.count('aria-current="true"') == 1


def test_row_alone_in_its_flow_has_no_story_and_a_message_alone_that_of_its_reports(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    write(
        state_of(app).database,
        sign_in(flow_id="lone"),
        sign_in(),
        message(flow_id="x", delivery=json.dumps(REPORTS)),
        message(delivery=json.dumps(REPORTS)),
        message(),
    )
    for path in ("/sign-in/1", "/sign-in/2", "/email/3"):
        assert steps_of(app, path) == []
    for path in ("/email/1", "/email/2"):
        assert len(steps_of(app, path)) == 3
        assert "What was reported of this message." in app.test_client().get(PREFIX + path).text


def test_long_story_ends_after_a_hundred_entries_and_says_so(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    rows = [sign_in(flow_id="f1", occurred_at=NOW + timedelta(seconds=one)) for one in range(MOST_ENTRIES + 20)]
    write(state_of(app).database, *rows)
    assert len(steps_of(app, "/sign-in/1")) == MOST_ENTRIES
    steps = steps_of(app, f"/sign-in/{MOST_ENTRIES + 20}")
    assert len(steps) == MOST_ENTRIES + 1 and "this row" in steps[-1]
    assert "there are more" in app.test_client().get(f"{PREFIX}/sign-in/1").text


def test_logs_that_are_off_stay_out_of_the_story(make_app: MakeApp) -> None:
    app = make_app(filled=False, kinds=("sign-in",))
    fill_flow(app)
    assert [step.partition(" ")[0] for step in steps_of(app, "/sign-in/1")] == ["Sign", "Sign"]


@pytest.mark.parametrize(
    "delivery",
    ["{", "[]", "7", "null", "[7, null, {}]", '[{"status": "sent", "occurred_at": "never"}]', '{"status": "sent"}'],
)
def test_reports_that_cannot_be_read_are_left_out(make_app: MakeApp, delivery: str) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, message(flow_id="f1", delivery=delivery), sign_in(flow_id="f1"))
    assert len(steps_of(app, "/email/1")) == 2


def test_hostile_text_in_a_story_is_made_visible(make_app: MakeApp) -> None:
    app = make_app(filled=False)
    reports = json.dumps([{"status": HOSTILE, "occurred_at": NOW.isoformat(), "detail": HOSTILE * 9}])
    write(
        state_of(app).database,
        message(flow_id=HOSTILE, purpose=HOSTILE, receiver=HOSTILE, delivery=reports),
        sign_in(flow_id=HOSTILE, reason=HOSTILE, identity=HOSTILE, outcome="failure"),
    )
    assert len(steps_of(app, "/email/1")) == 3
    page = app.test_client().get(f"{PREFIX}/email/1").text
    assert "<script>alert" not in page and "\u202e" not in page and "\u200b" not in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_story_is_accessible_and_fits(
    make_app: MakeApp, serve: Callable[[Flask], str], open_page: OpenPage, width: int, scheme: str
) -> None:
    app = make_app(filled=False)
    fill_flow(app)
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    base = serve(app) + PREFIX
    for path in ("/sign-in/2", "/email/1"):
        page.goto(base + path)
        expect(page.get_by_role("region", name="Story")).to_be_visible()
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("region", name="Story").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Sign-in 1")).to_be_visible()
