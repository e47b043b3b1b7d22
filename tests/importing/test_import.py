"""Every row of a Melody Auth database comes over: once, with its age, without its secrets."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from melody_logs.health import check_health
from melody_logs.state import state_of
from melody_logs.storage.models import SpoolProgress
from melody_logs.storage.progress import forget_old_progress
from tests.hosts import make_host
from tests.importing.conftest import Host
from tests.importing.sources import Source, many, message, sign_in
from tests.storage.rows import assert_totals_match, write
from tests.storage.rows import sign_in as recorded_sign_in


def numbers(output: str, title: str) -> list[int]:
    """Read a line of the receipt: read, imported, already there, deleted there, excluded, set aside."""
    (line,) = re.findall(rf"^ *{title} +([\d, ]+)$", output, re.M)
    return [int(number.replace(",", "")) for number in line.split()]


def test_every_field_comes_over(source: Source, host: Host) -> None:
    source.insert("email_log", [message(), message(success=0, response="550 no such user")])
    source.insert("sms_log", [message(receiver="+16471231111", content="Welcome")])
    source.insert("sign_in_log", [sign_in()])
    output = host.import_from(source)
    assert [numbers(output, title)[:2] for title in ("Email", "SMS", "Sign-ins")] == [[2, 2], [1, 1], [1, 1]]
    sent, failed = host.rows("email")
    assert (sent.status, sent.receiver, sent.content, sent.content_type) == (
        *("sent", "ann@example.org"),
        *("<p>Welcome, Ann</p>", "text/html"),
    )
    assert (failed.status, failed.response) == ("failed", "550 no such user")
    (sms,) = host.rows("sms")
    assert (sms.receiver, sms.content, sms.content_bytes) == ("+16471231111", "Welcome", 7)
    (row,) = host.rows("sign-in")
    assert (row.event, row.outcome, row.user_id, row.user_id_is_integer, row.ip) == (
        *("sign_in", "success"),
        *("7", True, "8.8.8.8"),
    )
    assert (row.country, row.continent, row.region, row.region_code, row.timezone, row.latitude, row.longitude) == (
        *("NL", "EU", "North Holland", "NH", "Europe/Amsterdam"),
        *(52.374, 4.9),
    )
    assert (row.geo_state, row.geo_source, row.marks) == ("done", "Melody Auth", "entry:imported")
    for each in (sent, sms, row):
        assert each.occurred_at == each.recorded_at == datetime(2025, 3, 14, 15, 9, 26, tzinfo=UTC)
        assert datetime.now(UTC) - each.updated_at < timedelta(minutes=1)
    assert_totals_match(host.database)


def test_second_run_takes_only_what_is_new(source: Source, host: Host) -> None:
    source.insert("sign_in_log", many(2_500))
    assert numbers(host.import_from(source), "Sign-ins") == [2_500, 2_500, 0, 0, 0, 0]
    output = host.import_from(source)
    assert numbers(output, "Sign-ins") == [0, 0, 0, 0, 0, 0] and "nothing new" in output
    source.insert("sign_in_log", [sign_in(userId=9), sign_in(userId=9)])
    assert numbers(host.import_from(source), "Sign-ins") == [2, 2, 0, 0, 0, 0]
    rows = host.rows("sign-in")
    assert len(rows) == len({row.event_id for row in rows}) == 2_502
    assert [row.recorded_at for row in rows[:2_500]] == sorted(row.recorded_at for row in rows[:2_500])
    assert_totals_match(host.database)


def test_moved_source_is_known_again(sqlite_source: Source, postgresql_source: Source, sqlite_host: Host) -> None:
    """From D1 to PostgreSQL the rows keep their ids and times; the address has nothing of the old one."""
    rows = many(300)
    sqlite_source.insert("sign_in_log", rows)
    sqlite_source.insert("email_log", [message(content="naïve ☃" * 3_000)])
    sqlite_host.import_from(sqlite_source)
    postgresql_source.insert("sign_in_log", [*rows, sign_in(userId=9)])
    postgresql_source.insert("email_log", [message(content="naïve ☃" * 3_000)])
    output = sqlite_host.import_from(postgresql_source)
    assert numbers(output, "Sign-ins") == [1, 1, 0, 0, 0, 0]
    assert numbers(output, "Email") == [0, 0, 0, 0, 0, 0]


def test_older_copy_of_a_source_doubles_nothing(sqlite_source: Source, tmp_path: Path, host: Host) -> None:
    sqlite_source.insert("sign_in_log", many(100))
    older = tmp_path / "older.db"
    older.write_bytes(Path(str(sqlite_source.engine.url.database)).read_bytes())
    sqlite_source.insert("sign_in_log", [sign_in(userId=9)])
    host.import_from(sqlite_source)
    assert numbers(host.import_from(f"sqlite:///{older}"), "Sign-ins") == [100, 0, 100, 0, 0, 0]
    assert len(host.rows("sign-in")) == 101
    assert numbers(host.import_from(sqlite_source), "Sign-ins") == [0, 0, 0, 0, 0, 0]


def test_cleaned_rows_do_not_come_back_after_100_days(source: Source, host: Host) -> None:
    source.insert("sign_in_log", many(50))
    host.import_from(source)
    assert host.run("clean", "sign-in", "--older-than", "30d", "--yes").exit_code == 0
    with host.database.write() as connection:
        connection.execute(update(SpoolProgress).values(updated_at=datetime(2020, 1, 1, tzinfo=UTC)))
        assert forget_old_progress(connection, host.database.now(connection)) == 0
    assert numbers(host.import_from(source), "Sign-ins") == [0, 0, 0, 0, 0, 0]
    assert host.rows("sign-in") == []


def test_two_sources_do_not_hide_each_other(
    sqlite_source: Source, postgresql_source: Source, sqlite_host: Host
) -> None:
    sqlite_source.insert("sign_in_log", [sign_in(userId=1), sign_in(userId=2)])
    postgresql_source.insert("sign_in_log", [sign_in(userId=3), sign_in(userId=4)])
    for _ in range(2):
        for each in (sqlite_source, postgresql_source):
            sqlite_host.import_from(each)
    assert [row.user_id for row in sqlite_host.rows("sign-in")] == ["1", "2", "3", "4"]


def test_secrets_of_bodies_are_removed(source: Source, host: Host) -> None:
    link = "https://auth.example.org/identity/v1/reset?code=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"
    body = f"<p>Your verification code: <b>493817</b></p><a href='{link}'>Reset</a>"
    source.insert("email_log", [message(content=body, response=json.dumps({"body": f"queued {link}"}))])
    source.insert("sms_log", [message(content="Your code is 493817")])
    host.import_from(source)
    (email,), (sms,) = host.rows("email"), host.rows("sms")
    stored = f"{email.content} {email.response} {sms.content}"
    assert "493817" not in stored and "Zm9vYmFy" not in stored
    assert email.marks.split() == ["entry:imported", "content:redacted", "response:redacted"]
    assert email.content_bytes == len(body)


def test_rows_deleted_in_the_source_stay_there(source: Source, host: Host) -> None:
    source.insert("sms_log", [message(content=word, deletedAt=None) for word in ("one", "two")])
    source.insert("sms_log", [message(content="three", deletedAt="2025-04-01 00:00:00")])
    assert numbers(host.import_from(source), "SMS") == [3, 2, 0, 1, 0, 0]
    assert [row.content for row in host.rows("sms")] == ["one", "two"]
    assert numbers(host.import_from(source), "SMS") == [0, 0, 0, 0, 0, 0]


def test_sign_in_without_a_place_is_located_later(source: Source, host: Host) -> None:
    source.insert(
        "sign_in_log", [sign_in(detail=None), sign_in(detail=None, ip="10.0.0.1"), sign_in(detail=None, ip=None)]
    )
    host.import_from(source)
    assert [row.geo_state for row in host.rows("sign-in")] == ["pending", "not_applicable", "not_applicable"]
    findings = {finding.name for finding in check_health(state_of(host.app)).findings}
    assert "Locations" not in findings, "it was recorded long ago, but has not waited long"
    assert host.run("locate").exit_code == 0
    assert host.rows("sign-in")[0].country == "US"
    assert_totals_match(host.database)


def test_times_of_postgresql_are_read_in_its_zone(postgresql_source: Source, sqlite_host: Host) -> None:
    postgresql_source.execute(
        f"ALTER DATABASE {postgresql_source.engine.url.database} SET timezone TO 'Europe/Amsterdam'"
    )
    postgresql_source.insert("sms_log", [message(createdAt="2025-07-01 12:00:00")])
    assert "Europe/Amsterdam" in sqlite_host.import_from(postgresql_source)
    (row,) = sqlite_host.rows("sms")
    assert row.recorded_at == datetime(2025, 7, 1, 10, tzinfo=UTC)


def test_row_that_commits_after_one_with_a_higher_id_is_not_missed(
    postgresql_source: Source, sqlite_host: Host
) -> None:
    with ThreadPoolExecutor(1) as pool, postgresql_source.engine.connect() as connection:
        connection.execute(text("INSERT INTO sign_in_log (\"userId\", ip) VALUES (1, '8.8.8.8')"))
        postgresql_source.insert("sign_in_log", [sign_in(userId=2)])
        under_way = pool.submit(sqlite_host.import_from, postgresql_source)
        time.sleep(1)
        connection.commit()
        assert numbers(under_way.result(), "Sign-ins") == [2, 2, 0, 0, 0, 0]
    assert [row.user_id for row in sqlite_host.rows("sign-in")] == ["1", "2"]


def test_transaction_that_stays_open_is_told(
    postgresql_source: Source, sqlite_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melody_logs.storage.melody_auth._WRITERS_SECONDS", 0.2)
    with postgresql_source.engine.connect() as connection:
        connection.execute(text("INSERT INTO email_log (success, receiver, response, content) VALUES (1, '', '', '')"))
        postgresql_source.insert("sign_in_log", [sign_in(userId=1)])
        assert "stayed open" in sqlite_host.import_from(postgresql_source)
    postgresql_source.insert("sign_in_log", [sign_in(userId=2)])
    assert "stayed open" not in sqlite_host.import_from(postgresql_source)


def test_old_rows_above_newer_ids_are_cleaned(sqlite_source: Source, host: Host) -> None:
    """Imported after going live, the rows are older than those below them."""
    write(host.database, *(recorded_sign_in() for _ in range(3)), age=timedelta(days=40))
    write(host.database, *(recorded_sign_in() for _ in range(5)))
    sqlite_source.insert("sign_in_log", many(1_200))
    host.import_from(sqlite_source)
    output = host.run("clean", "sign-in", "--older-than", "30d", "--yes").output
    assert "Deleted 1,203 rows" in output
    assert [row.id for row in host.rows("sign-in")] == [4, 5, 6, 7, 8]
    assert_totals_match(host.database)


def test_kinds_can_be_chosen_and_need_not_be_enabled(sqlite_source: Source, sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_ENABLE_SMS_LOG=False)
    sqlite_source.insert("sms_log", [message()])
    sqlite_source.insert("email_log", [message()])
    host = Host(app)
    output = host.import_from(sqlite_source, "--kind", "sms")
    assert numbers(output, "SMS") == [1, 1, 0, 0, 0, 0] and "Email" not in output
    assert (len(host.rows("sms")), len(host.rows("email"))) == (1, 0)


def test_transform_and_exclude_of_the_host_are_asked(sqlite_source: Source, sqlite_url: str, tmp_path: Path) -> None:
    app, logs = make_host(sqlite_url, tmp_path=tmp_path)
    seen = []

    @logs.transform
    def shorten(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        seen.append((kind, sorted(fields)))
        return fields | {"ip": "192.0.2.0"} if kind == "sign-in" else fields

    @logs.exclude
    def leave_out(kind: str, fields: dict[str, Any]) -> bool:
        if fields.get("receiver") == "+2":
            raise RuntimeError("the host's own fault")
        return fields.get("receiver") == "+1"

    sqlite_source.insert("sms_log", [message(receiver=receiver) for receiver in ("+1", "+2", "+3")])
    sqlite_source.insert("sign_in_log", [sign_in(detail=None)])
    host = Host(app)
    assert numbers(host.import_from(sqlite_source), "SMS") == [3, 2, 0, 0, 1, 0]
    assert [row.receiver for row in host.rows("sms")] == ["+2", "+3"]
    assert [row.ip for row in host.rows("sign-in")] == ["192.0.2.0"]
    assert seen[0] == ("sms", ["content", "receiver", "response", "success"])
    assert seen[-1] == ("sign-in", ["ip", "success", "user_id"])


def test_dry_run_only_counts(source: Source, host: Host) -> None:
    source.insert("sign_in_log", many(7))
    host.import_from(source)
    source.insert("sign_in_log", [sign_in(deletedAt=deleted) for deleted in (None, None, "2025-04-01 00:00:00")])
    output = host.import_from(source, "--dry-run")
    assert numbers(output, "Sign-ins") == [10, 7, 1, 2]
    assert "Nothing was imported" in output and len(host.rows("sign-in")) == 7


def test_source_is_only_read(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.insert("sign_in_log", many(10))
    path = Path(str(sqlite_source.engine.url.database))
    before = path.read_bytes()
    sqlite_host.import_from(sqlite_source)
    assert path.read_bytes() == before
    assert sorted(found.name for found in path.parent.glob("melody.db*")) == ["melody.db"]


def test_api_and_pages_show_imported_rows(sqlite_source: Source, sqlite_url: str, tmp_path: Path) -> None:
    from tests.api.conftest import Api

    app, logs = make_host(sqlite_url, tmp_path=tmp_path)
    logs.admin_access(lambda: "read")
    sqlite_source.insert("sign_in_log", [sign_in()])
    sqlite_source.insert("email_log", [message()])
    Host(app).import_from(sqlite_source)
    answer: Any = Api(app).get("/sign-in?page_size=10&page_number=1").json
    (log,) = answer["logs"]
    assert (answer["count"], log["userId"], log["ip"], log["createdAt"]) == (1, 7, "8.8.8.8", "2025-03-14 15:09:26")
    assert json.loads(log["detail"])["region"] == "North Holland"
    client = app.test_client()
    assert "14 Mar 2025" in client.get("/admin/logs/email").text
    assert "taken over from a Melody Auth database" in client.get("/admin/logs/email/1").text
