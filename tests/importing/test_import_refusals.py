"""What cannot be imported from gets one sentence, without the password."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.importing.conftest import Host
from tests.importing.sources import Source
from tests.servers.processes import free_port

PASSWORD = "hunter2-Zq8"


def refused(host: Host, url: str, *options: str) -> str:
    """Return the sentence that the import of *url* is refused with."""
    result = host.run("import", "melody", "--database-url", url, *options)
    assert result.exit_code == 1, result.output
    assert result.output.startswith("Error: ") and result.output.count("\n") == 1
    assert PASSWORD not in result.output
    return result.output


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql//u:{PASSWORD}@h/d", "not one of a database"),
        (f"postgresql://u:{PASSWORD}@h:port/d", "not one of a database"),
        (f"postgresql://u:x@{PASSWORD}@h/d", 'write "%40"'),
        (f"mysql://u:{PASSWORD}@h/d", "accepted: postgresql:// and sqlite://"),
        (f"postgresql+asyncpg://u:{PASSWORD}@h/d", "accepted: postgresql:// and sqlite://"),
        ("", "not one of a database"),
        ("sqlite://", "there is no file"),
        ("sqlite:///:memory:", "there is no file"),
        ("sqlite:///" + "a" * 5_000, "cannot be read: File name too long"),
        (f"postgresql:///d?host=/nowhere&password={PASSWORD}", "password=***"),
    ],
)
def test_address_that_cannot_be_used(url: str, words: str, sqlite_host: Host) -> None:
    assert words in refused(sqlite_host, url)


def test_server_that_is_not_there(sqlite_host: Host) -> None:
    url = f"postgres://ann:{PASSWORD}@127.0.0.1:{free_port()}/melody"
    assert "ann:***@127.0.0.1" in refused(sqlite_host, url)


def test_missing_file_is_not_made(sqlite_host: Host, tmp_path: Path) -> None:
    assert "there is no file" in refused(sqlite_host, f"sqlite:///{tmp_path / 'melody.db'}")
    assert not (tmp_path / "melody.db").exists()
    assert "there is no file" in refused(sqlite_host, f"sqlite:///{tmp_path}")


def test_export_as_sql_text_gets_the_remedy(sqlite_host: Host, tmp_path: Path) -> None:
    export = tmp_path / "export.sql"
    export.write_text("PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE app (id);\n")
    assert "sqlite3 melody.db < export.sql" in refused(sqlite_host, f"sqlite:///{export}")


def test_file_without_tables_of_melody_auth(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.execute("DROP TABLE sms_log")
    assert 'no table "sms_log"' in refused(sqlite_host, sqlite_source.url)
    assert sqlite_host.import_from(sqlite_source, "--kind", "email", "--kind", "sign-in")
    for name in ("email_log", "sign_in_log"):
        sqlite_source.execute(f"DROP TABLE {name}")
    assert "has no tables of Melody Auth" in refused(sqlite_host, sqlite_source.url)


def test_table_of_somebody_else(source: Source, sqlite_host: Host) -> None:
    source.execute("DROP TABLE email_log")
    source.execute("CREATE TABLE email_log (id integer, body text)")
    assert 'has no column "success"' in refused(sqlite_host, source.url)


def test_ids_that_are_no_numbers(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.execute("DROP TABLE sms_log")
    columns = '"id" text, "success" integer, "receiver" text, "response" text, "content" text, "createdAt" text'
    sqlite_source.execute(f"CREATE TABLE sms_log ({columns})")
    sqlite_source.execute("INSERT INTO sms_log (id, success) VALUES ('a', 1)")
    assert "no whole number" in refused(sqlite_host, sqlite_source.url)


def test_log_database_is_no_source(sqlite_host: Host, sqlite_url: str) -> None:
    assert "a log database of melody_logs itself" in refused(sqlite_host, sqlite_url)


def test_table_that_may_not_be_read(postgresql_source: Source, sqlite_host: Host) -> None:
    role = "reader_without_rights"
    postgresql_source.execute(f"CREATE ROLE {role} LOGIN")
    try:
        url = make_url(postgresql_source.url).set(username=role, password=PASSWORD)
        sentence = refused(sqlite_host, url.render_as_string(hide_password=False))
        assert "permission denied for table" in sentence
    finally:
        postgresql_source.execute(f"DROP ROLE {role}")


def test_log_database_without_tables(sqlite_source: Source, sqlite_url: str, tmp_path: Path) -> None:
    from tests.hosts import close_host, make_host

    app, _ = make_host(None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=sqlite_url)
    assert "flask melody-logs db upgrade" in refused(Host(app), sqlite_source.url)
    close_host(app)


def test_address_may_come_from_the_environment(
    sqlite_source: Source, sqlite_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a password stands in no list of processes."""
    monkeypatch.setenv("MELODY_IMPORT_DATABASE_URL", sqlite_source.url)
    assert sqlite_host.run("import", "melody").exit_code == 0
    monkeypatch.delenv("MELODY_IMPORT_DATABASE_URL")
    assert sqlite_host.run("import", "melody").exit_code == 2


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_form_of_a_postgresql_address(scheme: str, postgresql_source: Source, sqlite_host: Host) -> None:
    url = make_url(postgresql_source.url).set(drivername=scheme).render_as_string(hide_password=False)
    assert "nothing new" in sqlite_host.import_from(url)
