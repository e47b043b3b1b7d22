"""The story of a flow by the API: all logs together, in the order of what happened, bounded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from melody_logs.storage.models import TABLES
from melody_logs.storage.stories import MOST_ENTRIES
from melody_logs.vocabulary import KINDS, Kind
from tests.api.conftest import Api, assert_problem
from tests.api.test_api_lists import MESSAGE_FIELDS, SIGN_IN_FIELDS
from tests.storage.rows import NOW, message, sign_in, write


def story_of(api: Api, flow_id: str) -> Any:
    answer: Any = api.get(f"/flows/{quote(flow_id, safe='')}").json
    return answer["flow"]


def test_story_has_all_logs_in_the_order_of_what_happened(api: Api) -> None:
    later = [NOW + timedelta(seconds=seconds) for seconds in range(4)]
    write(
        api.database,
        sign_in(flow_id="f1", occurred_at=later[3], event="sign_in"),
        message(flow_id="f1", occurred_at=later[0], content="body"),
        sign_in(flow_id="f2", occurred_at=later[0]),
        sign_in(flow_id="f1", occurred_at=later[2], outcome="failure", event="recovery"),
        message("sms", flow_id="f1", occurred_at=later[1]),
        message(),
    )
    story = story_of(api, "f1")
    assert (story["flowId"], story["isComplete"]) == ("f1", True)
    assert [(entry["kind"], entry["log"]["id"]) for entry in story["entries"]] == [
        ("email", 1),
        ("sms", 1),
        ("sign-in", 3),
        ("sign-in", 1),
    ]
    # Fields that other parts of the API add stand here too.
    assert (
        set(story["entries"][0]["log"]) >= MESSAGE_FIELDS - {"content"} and "content" not in story["entries"][0]["log"]
    )
    assert set(story["entries"][2]["log"]) >= SIGN_IN_FIELDS


def test_story_ends_after_a_hundred_entries_and_says_so(sqlite_api: Api) -> None:
    rows = [sign_in(flow_id="f1", occurred_at=NOW + timedelta(seconds=number)) for number in range(MOST_ENTRIES)]
    write(sqlite_api.database, *rows)
    assert story_of(sqlite_api, "f1")["isComplete"] is True
    write(sqlite_api.database, message(flow_id="f1", occurred_at=NOW - timedelta(days=1)))
    story = story_of(sqlite_api, "f1")
    assert (len(story["entries"]), story["isComplete"], story["entries"][0]["kind"]) == (MOST_ENTRIES, False, "email")


@pytest.mark.parametrize("flow_id", ["none", "x" * 129, "a\x00b", "' OR 1=1 --", "%2e%2e", "é\u202e", " "])
def test_unknown_flow_is_404(api: Api, flow_id: str) -> None:
    write(api.database, sign_in(flow_id="f1"))
    assert_problem(api.get(f"/flows/{quote(flow_id, safe='')}"), 404)


@pytest.mark.parametrize("flow_id", ["a/b", "ä b?c=d", "%41", "x" * 128, "'"])
def test_flow_id_may_be_of_any_characters(api: Api, flow_id: str) -> None:
    write(api.database, sign_in(flow_id=flow_id))
    assert story_of(api, flow_id)["flowId"] == flow_id


def test_story_needs_a_token_that_may_read_and_takes_no_parameters(sqlite_api: Api) -> None:
    write(sqlite_api.database, sign_in(flow_id="f1"))
    assert sqlite_api.app.test_client().get("/api/v1/logs/flows/f1").status_code == 401
    assert sqlite_api.get("/flows/f1", scope="read_log").status_code == 200
    assert_problem(sqlite_api.get("/flows/f1?limit=5"), 400, "limit")
    assert_problem(sqlite_api.call("DELETE", "/flows/f1"), 405)


@pytest.mark.parametrize("kind", KINDS)
def test_story_is_found_by_an_index(sqlite_api: Api, kind: Kind) -> None:
    query = f"EXPLAIN QUERY PLAN SELECT id FROM {TABLES[kind].name} WHERE flow_id = 'f7' ORDER BY id LIMIT 101"
    with sqlite_api.database.read() as connection:
        plan = " ".join(str(tuple(row)) for row in connection.execute(text(query)))
    assert "_flow_id" in plan and "SCAN" not in plan and "TEMP B-TREE" not in plan, plan
