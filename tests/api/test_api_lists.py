"""Lists and single rows: pages, cursors, fields."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from melody_logs.api import logs
from melody_logs.storage.deliveries import DeliveryReport
from melody_logs.storage.writer import write_rows
from melody_logs.vocabulary import KINDS, Kind
from tests.api.conftest import Api, assert_problem
from tests.storage.rows import NOW, message, sign_in, write

MESSAGE_FIELDS = {
    "id", "success", "receiver", "response", "content", "createdAt", "updatedAt", "deletedAt",
    "eventId", "occurredAt", "status", "subject", "purpose", "provider", "providerMessageId", "delivery",
    "userId", "requestId", "flowId",
}  # fmt: skip
SIGN_IN_FIELDS = {
    "id", "userId", "ip", "detail", "createdAt", "updatedAt", "deletedAt",
    "eventId", "occurredAt", "event", "identity", "outcome", "reason", "method", "userAgent", "country", "city",
    "latitude", "longitude", "requestId", "flowId",
    "foldedCount", "lastAt", "samples",
}  # fmt: skip


def add_rows(api: Api, kind: Kind, count: int) -> None:
    """Write rows; in a page of them the newest has the highest id."""
    write(api.database, *[sign_in() if kind == "sign-in" else message(kind) for _ in range(count)])


def read_ids(answer: Any) -> list[int]:
    return [log["id"] for log in answer["logs"]]


@pytest.mark.parametrize("kind", KINDS)
def test_page_has_the_newest_rows_first_and_counts_all(api: Api, kind: Kind) -> None:
    add_rows(api, kind, 12)
    first: Any = api.get(f"/{kind}?page_size=5&page_number=1").json
    last: Any = api.get(f"/{kind}?page_size=5&page_number=3").json
    assert (read_ids(first), first["count"]) == ([12, 11, 10, 9, 8], 12)
    assert (read_ids(last), last["count"]) == ([2, 1], 12)
    assert set(first) == {"logs", "count"}


def test_page_beyond_the_end_is_empty(api: Api) -> None:
    add_rows(api, "email", 3)
    for number in (2, 10**7, 2**63 - 1):
        assert api.get(f"/email?page_size=3&page_number={number}").json == {"logs": [], "count": 3}


def test_page_size_alone_gives_page_one_and_page_number_alone_ten_rows(api: Api) -> None:
    add_rows(api, "sms", 13)
    assert read_ids(api.get("/sms?page_size=2").json) == [13, 12]
    assert read_ids(api.get("/sms?page_number=2").json) == [3, 2, 1]


def test_list_without_paging_goes_on_from_cursor_to_cursor(api: Api) -> None:
    """Every row once, at most 500 an answer, and the header says the same as the body."""
    add_rows(api, "sign-in", 1_001)
    seen, path = [], "/sign-in"
    for _ in range(3):
        response = api.get(path)
        answer: Any = response.json
        assert answer["count"] == 1_001
        seen.append(read_ids(answer))
        if answer["nextCursor"] is None:
            assert "Link" not in response.headers
            break
        path = f"/sign-in?cursor={answer['nextCursor']}"
        assert response.headers["Link"] == f'</api/v1/logs{path}>; rel="next"'
    assert [len(ids) for ids in seen] == [500, 500, 1]
    assert [row_id for ids in seen for row_id in ids] == list(range(1_001, 0, -1))


def test_list_without_paging_that_ends_has_a_null_cursor(api: Api) -> None:
    add_rows(api, "email", 2)
    answer: Any = api.get("/email").json
    assert (len(answer["logs"]), answer["count"], answer["nextCursor"]) == (2, 2, None)


def test_list_of_long_messages_ends_early_and_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the bodies are, an answer stays of a size that both sides can hold."""
    monkeypatch.setattr(logs, "LARGEST_ANSWER_BYTES", 25_000)
    write(api.database, *[message(content="x" * size) for size in (10_000, 10_000, 10_000, 50_000, 10)])
    seen, path = [], "/email"
    for _ in range(4):
        answer: Any = api.get(path).json
        seen.append(read_ids(answer))
        path = f"/email?cursor={answer['nextCursor']}"
    assert seen == [[5], [4], [3, 2], [1]]
    assert answer["nextCursor"] is None


def test_cursor_of_another_list_or_hand_is_refused(api: Api) -> None:
    add_rows(api, "email", 501)
    cursor = api.get("/email").json["nextCursor"]  # type: ignore[index]
    for path in (f"/sms?cursor={cursor}", f"/email?cursor=A{cursor}", f"/email?cursor={cursor}A"):
        assert_problem(api.get(path), 400, "cursor")
    for text in ("", "1", "%00", "é", "x" * 200, "AAAAAAAAAAAAAAAAAAAAAA", cursor[:-2]):
        assert_problem(api.get("/email", query_string={"cursor": text}), 400, "cursor")
    assert_problem(api.get(f"/email?cursor={cursor}&page_size=2"), 400, "cursor")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("page_size=0&page_number=1", ["page_size"]),
        ("page_size=-1&page_number=1", ["page_size"]),
        ("page_size=abc&page_number=1", ["page_size"]),
        ("page_size=1000000000&page_number=1", ["page_size"]),
        ("page_size=501", ["page_size"]),
        ("page_size=", ["page_size"]),
        ("page_size=1e1", ["page_size"]),
        ("page_size=%2B5", ["page_size"]),
        ("page_size=5.0", ["page_size"]),
        ("page_size=%D9%A5", ["page_size"]),
        ("page_size=05", ["page_size"]),
        ("page_size=5%00", ["page_size"]),
        ("page_size=10&page_number=0", ["page_number"]),
        ("page_size=10&page_number=-1", ["page_number"]),
        ("page_size=10&page_number=9223372036854775808", ["page_number"]),
        ("page_size=10&page_number=" + "9" * 5000, ["page_number"]),
        ("page_size=10&page_size=10", ["page_size"]),
        ("page_size=x&page_number=y&fields=content", ["fields", "page_number", "page_size"]),
        ("country=ZZZZ", ["country"]),
        ("sort=id;drop", ["sort"]),
        ("access_token=abc", ["access_token"]),
        ("Page_Size=10", ["Page_Size"]),
        ("%ff%00<script>=1", ["%FF\x00<script>"]),
    ],
)
def test_bad_parameter_is_refused_and_named(sqlite_api: Api, query: str, names: list[str]) -> None:
    response = sqlite_api.get(f"/email?{query}")
    assert response.status_code == 400
    problem: Any = response.json
    assert sorted(error["parameter"] for error in problem["errors"]) == names
    assert all(error["detail"] for error in problem["errors"])


def test_long_query_is_refused_quickly_and_not_echoed(sqlite_api: Api) -> None:
    problem = assert_problem(sqlite_api.get(f"/email?{'x' * 100_000}=1"), 400, "x" * 64)
    assert len(json.dumps(problem)) < 1_000
    response = sqlite_api.get("/email?" + "&".join(f"k{number}=1" for number in range(5_000)))
    assert response.status_code == 400
    assert len(response.get_data()) < 5_000


def test_message_has_every_field_of_the_contract(api: Api) -> None:
    values: dict[str, Any] = {
        "event_id": str(uuid.uuid4()),
        "occurred_at": datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC),
        "status": "failed",
        "receiver": "ann@example.org",
        "subject": "Grüße 👋",
        "purpose": "password_reset",
        "provider": "smtp",
        "provider_message_id": "<1@example.org>",
        "response": "550 no such user",
        "content": "<p>Hello</p>",
        "user_id": "42",
        "user_id_is_integer": True,
        "request_id": "r1",
        "flow_id": "f1",
    }
    write(api.database, message(**values))
    log: Any = api.get("/email/1").json["log"]  # type: ignore[index]
    assert set(log) == MESSAGE_FIELDS
    assert log == api.get("/email?page_size=1").json["logs"][0]  # type: ignore[index]
    assert (log["id"], log["success"], log["status"], log["deletedAt"]) == (1, False, "failed", None)
    assert (log["receiver"], log["subject"], log["content"]) == ("ann@example.org", "Grüße 👋", "<p>Hello</p>")
    assert (log["response"], log["provider"], log["providerMessageId"]) == (
        "550 no such user",
        "smtp",
        "<1@example.org>",
    )
    assert (log["eventId"], log["userId"], log["requestId"], log["flowId"]) == (values["event_id"], 42, "r1", "f1")
    assert log["occurredAt"] == "2026-03-14T15:09:26.535897Z"
    created = datetime.strptime(log["createdAt"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    assert log["updatedAt"] == log["createdAt"]


@pytest.mark.parametrize("kind", ["email", "sms"])
def test_message_without_anything_has_empty_text_and_nulls(api: Api, kind: Kind) -> None:
    write(api.database, message(kind, receiver=None))
    log: Any = api.get(f"/{kind}/1").json["log"]  # type: ignore[index]
    assert set(log) == MESSAGE_FIELDS
    assert (log["success"], log["receiver"], log["response"], log["content"]) == (True, "", "", "")
    assert (log["subject"], log["userId"], log["flowId"]) == (None, None, None)


@pytest.mark.parametrize("status", ["pending", "unknown", "accepted", "sent", "suppressed", "failed", "bounced"])
def test_success_follows_the_status(sqlite_api: Api, status: str) -> None:
    write(sqlite_api.database, message(status=status))
    log: Any = sqlite_api.get("/email/1").json["log"]  # type: ignore[index]
    assert log["success"] is (status in ("accepted", "sent", "suppressed"))


def test_message_says_what_its_provider_reported(sqlite_api: Api) -> None:
    write(sqlite_api.database, message(provider="ses", provider_message_id="m-1"), message())
    reports = [
        DeliveryReport("email", "ses", "m-1", "bounced", NOW, "550 5.1.1"),
        DeliveryReport("email", "ses", "m-1", "sent", NOW),
    ]
    with sqlite_api.database.write() as connection:
        write_rows(connection, sqlite_api.database.now(connection), reports)
    log: Any = sqlite_api.get("/email/1").json["log"]  # type: ignore[index]
    moment = "2026-03-14T15:09:26.535897Z"
    assert (log["status"], log["success"]) == ("bounced", False)
    assert log["delivery"] == [
        {"status": "sent", "occurredAt": moment, "detail": None},
        {"status": "bounced", "occurredAt": moment, "detail": "550 5.1.1"},
    ]
    assert sqlite_api.get("/email/2").json["log"]["delivery"] == []  # type: ignore[index]


def test_located_sign_in_has_every_field_of_the_contract(api: Api) -> None:
    location = {
        "continent": "NA", "country": "CA", "region": "Ontario", "region_code": "ON", "city": "Toronto",
        "timezone": "America/Toronto", "latitude": 43.6532, "longitude": -79.0, "asn": 812, "as_org": "Rogers",
    }  # fmt: skip
    about = {
        "user_id": "7",
        "identity": "ann@example.org",
        "method": "password",
        "user_agent": "curl",
        "ip": "2001:db8::1",
    }
    write(api.database, sign_in(**location, **about, geo_state="done"))
    log: Any = api.get("/sign-in/1").json["log"]  # type: ignore[index]
    assert set(log) == SIGN_IN_FIELDS
    assert json.loads(log["detail"]) == {
        "longitude": "-79", "continent": "NA", "country": "CA", "timezone": "America/Toronto", "region": "Ontario",
        "regionCode": "ON", "latitude": "43.6532", "city": "Toronto", "asn": "812", "asOrg": "Rogers",
    }  # fmt: skip
    assert (log["userId"], log["ip"], log["country"], log["city"]) == ("7", "2001:db8::1", "CA", "Toronto")
    assert (log["latitude"], log["longitude"]) == (43.6532, -79.0)
    assert (log["outcome"], log["reason"], log["method"], log["event"]) == ("success", None, "password", "sign_in")


def test_location_of_a_country_only_has_empty_parts(api: Api) -> None:
    write(api.database, sign_in(country="CA", geo_state="done"))
    detail = json.loads(api.get("/sign-in/1").json["log"]["detail"])  # type: ignore[index]
    assert (detail["country"], detail["city"], detail["latitude"]) == ("CA", "", "")


def test_sign_in_by_an_unknown_user_from_nowhere_has_nulls(api: Api) -> None:
    write(api.database, sign_in(ip=None, outcome="failure", reason="unknown_account"))
    log: Any = api.get("/sign-in/1").json["log"]  # type: ignore[index]
    assert (log["userId"], log["ip"], log["detail"]) == (None, None, None)


def test_counted_row_has_its_count_last_time_and_samples(api: Api) -> None:
    sample = {"ip": "8.8.8.8", "identity": "ann@example.org", "user_agent": "Tool/1", "reason": None, "method": None}
    stored = json.dumps([sample | {"occurred_at": "2026-03-14T15:09:26+00:00"}])
    counted = {"folded_count": 2**40, "last_at": datetime(2026, 3, 14, 15, 10, tzinfo=UTC), "samples": stored}
    write(api.database, sign_in(outcome="failure", **counted), sign_in())
    plain, log = api.get("/sign-in?page_size=2").json["logs"]  # type: ignore[index]
    assert (log["foldedCount"], log["lastAt"]) == (2**40, "2026-03-14T15:10:00.000000Z")
    assert log["samples"] == [
        {"occurredAt": "2026-03-14T15:09:26.000000Z", "ip": "8.8.8.8", "identity": "ann@example.org"}
        | {"userAgent": "Tool/1", "reason": None, "method": None}
    ]
    assert (plain["foldedCount"], plain["lastAt"], plain["samples"]) == (None, None, None)


def test_list_and_count_show_sign_ins_only_but_every_event_is_found_by_its_id(api: Api) -> None:
    write(api.database, sign_in(), sign_in(event="sign_out"))
    assert api.get("/sign-in").json["count"] == 1  # type: ignore[index]
    assert read_ids(api.get("/sign-in?page_size=10&page_number=1").json) == [1]
    assert api.get("/sign-in/2").json["log"]["event"] == "sign_out"  # type: ignore[index]


@pytest.mark.parametrize(
    "row_id",
    ["abc", "0", "-1", "1e3", "9223372036854775808", "9" * 400, "%201", "1%20", "01", "+1", "1.0", "%D9%A1", "2"],
)
def test_id_that_names_no_row_gets_the_same_404(sqlite_api: Api, row_id: str) -> None:
    write(sqlite_api.database, message())
    answer = sqlite_api.get(f"/email/{row_id}")
    assert_problem(answer, 404)
    assert answer.get_data() == sqlite_api.get("/email/77").get_data()


def test_largest_id_is_looked_up_and_not_found(api: Api) -> None:
    assert_problem(api.get("/sign-in/9223372036854775807"), 404)


def test_row_of_one_log_is_not_found_in_another(api: Api) -> None:
    write(api.database, message())
    assert_problem(api.get("/sms/1"), 404)


def test_single_row_takes_no_parameters(sqlite_api: Api) -> None:
    write(sqlite_api.database, message())
    assert_problem(sqlite_api.get("/email/1?fields=content"), 400, "fields")


def test_head_answers_as_get_without_a_body(sqlite_api: Api) -> None:
    write(sqlite_api.database, message())
    for path in ("/email", "/email/1"):
        response = sqlite_api.call("HEAD", path)
        assert (response.status_code, response.get_data()) == (200, b"")
        assert response.content_length == sqlite_api.get(path).content_length


def test_answer_is_ours_whatever_json_the_host_writes(sqlite_api: Api) -> None:
    """A host that changes its JSON provider does not change the contract."""
    sqlite_api.app.json.dumps = lambda *args, **options: "{}"  # type: ignore[method-assign]
    assert sqlite_api.get("/email").json == {"logs": [], "count": 0, "nextCursor": None}
