"""Sign-ins to measure with: as spooled entries, as rows of a large table, and their addresses."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uuid_utils
from sqlalchemy import text

from melody_logs.recording.entries import build_message, build_sign_in, to_json
from melody_logs.recording.request_facts import RequestFacts
from melody_logs.settings import Settings
from melody_logs.storage.database import Database

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
SIGN_IN: dict[str, Any] = {"identity": "ada@example.org", "success": True, "user_id": 7, "method": "password"}
REQUEST: dict[str, Any] = {
    "path": "/login",
    "method": "POST",
    "headers": {"User-Agent": USER_AGENT, "Referer": "https://app.example.org/start"},
    "environ_base": {"REMOTE_ADDR": "93.184.216.34"},
}


def spooled_sign_ins(count: int) -> list[bytes]:
    """Make *count* entries as they lie in a spool, each an event, user and address of its own."""
    choose = random.Random(1)
    return [_spooled(number, public_address(choose)) for number in range(count)]


def _spooled(number: int, ip: str) -> bytes:
    facts = RequestFacts(ip=ip, user_agent=USER_AGENT, referrer="https://app.example.org/start", endpoint="auth.login")
    fields = SIGN_IN | {"identity": f"user{number}@example.org", "user_id": number, "account_known": True}
    return to_json(build_sign_in(fields, facts=facts, key=b"benchmark"))


def make_mail() -> dict[str, Any]:
    """Give the keywords of ``record_email`` for a mail of 4 KB of HTML with a code and a link, which it names."""
    content = Path(__file__).with_name("mail.html").read_text(encoding="utf-8")
    code, link = "738204", "Zm9yIGEgYmVuY2htYXJrIG9ubHkgYW5kIGZvciBub3RoaW5nIGVsc2U"
    assert code in content and link in content
    return {
        "receiver": "ada@example.org",
        "subject": "Your sign-in code for Example",
        "content": content,
        "purpose": "sign_in_code",
        "secrets": [code, link],
        "success": True,
    }


def spooled_mail() -> bytes:
    """Make the entry of that mail as it lies in a spool."""
    facts = RequestFacts(endpoint="auth.login")
    return to_json(build_message("email", make_mail(), facts=facts, settings=Settings()))


def public_address(choose: random.Random) -> str:
    """Choose an IPv4 address of the public internet."""
    return f"{choose.randrange(11, 100)}.{choose.randrange(256)}.{choose.randrange(256)}.{choose.randrange(1, 255)}"


_SEED = """
INSERT INTO melody_logs.melody_sign_in_log (
  event_id, position, version, occurred_at, recorded_at, updated_at, user_id, user_id_is_integer, stored_bytes,
  event, outcome, method, identity, ip, user_agent, country, city, latitude, longitude, geo_state, geo_attempts)
SELECT gen_random_uuid()::text, number, 1, moment, moment, moment, (number % 5000)::text, true, 640,
  CASE WHEN number % 20 = 0 THEN 'sign_out' ELSE 'sign_in' END,
  CASE WHEN number % 7 = 0 THEN 'failure' ELSE 'success' END, 'password', 'user' || number % 5000 || '@example.org',
  (11 + number % 89) || '.' || (number / 89) % 256 || '.' || (number / 22784) % 256 || '.' || 1 + number % 254,
  :user_agent, CASE WHEN :located THEN 'NL' END, CASE WHEN :located THEN 'Amsterdam' END,
  CASE WHEN :located THEN 52.374 END, CASE WHEN :located THEN 4.8897 END,
  CASE WHEN :located THEN 'done' ELSE 'pending' END, 0
FROM (SELECT number, clock.now - make_interval(secs => :rows - number) AS moment
      FROM generate_series(1, :rows) AS number, (SELECT CAST(:now AS timestamptz) AS now) AS clock) AS numbered
"""
_SEED_TOTALS = (
    """INSERT INTO melody_logs.melody_total SELECT 'sign-in', event, outcome, count(*), sum(stored_bytes)
    FROM melody_logs.melody_sign_in_log GROUP BY event, outcome""",
    """INSERT INTO melody_logs.melody_hourly_total
    SELECT 'sign-in', date_trunc('hour', recorded_at, 'UTC'), event, outcome, count(*), sum(stored_bytes)
    FROM melody_logs.melody_sign_in_log GROUP BY 2, event, outcome""",
    """INSERT INTO melody_logs.melody_country_total
    SELECT date_trunc('day', recorded_at, 'UTC'), coalesce(country, 'ZZ'), event, outcome, count(*)
    FROM melody_logs.melody_sign_in_log GROUP BY 1, 2, event, outcome""",
    "INSERT INTO melody_logs.melody_position SELECT 'sign-in', max(position) FROM melody_logs.melody_sign_in_log",
)
_TABLES = ("sign_in_log", "email_log", "total", "hourly_total", "country_total", "position", "spool_progress")


def seed_sign_ins(database: Database, rows: int, *, located: bool) -> None:
    """Fill the sign-in log with *rows* rows, one a second up to now, with their totals; what was there is gone."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    empty_tables(database)
    values = {"rows": rows, "now": now, "user_agent": USER_AGENT, "located": located}
    with database.engine.begin() as connection:
        connection.execute(text(_SEED), values)
        for statement in _SEED_TOTALS:
            connection.execute(text(statement))
    vacuum(database)


def empty_tables(database: Database) -> None:
    """Take every sign-in away, with its totals and the progress of the spools."""
    names = ", ".join(f"melody_logs.melody_{name}" for name in _TABLES)
    with database.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))


def vacuum(database: Database) -> None:
    """Do what autovacuum would do later, perhaps in the middle of a measurement."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) melody_logs.melody_sign_in_log"))
        connection.execute(text("CHECKPOINT"))


def new_event_id() -> str:
    """Make an event id as the recorder does."""
    return str(uuid_utils.uuid7())
