"""MariaDB: whatever its configuration and the host's address say, our sessions and tables are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, inspect, make_url, select, text

from melody_logs.errors import StorageUnavailableError
from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.storage.columns import VERSION_TABLE
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.mariadb import refuse_unsuitable
from melody_logs.storage.models import LocationClaim
from melody_logs.storage.queries import count_rows
from melody_logs.storage.schema import current_revision, downgrade, head_revision, upgrade
from tests.recording.spool_rows import count_marks, make_body
from tests.servers.mariadb import MariadbServer, connected
from tests.storage.rows import make_database, message, read_all, sign_in, write


@pytest.fixture
def database(mariadb_url: str) -> Iterator[Database]:
    database = make_database(mariadb_url)
    yield database
    database.close()


def test_session_is_ours_whatever_the_server_is_set_to(database: Database, mariadb_url: str) -> None:
    """The server of the tests has another time zone, character set, SQL mode and isolation."""
    names = ["time_zone", "character_set_client", "character_set_connection", "sql_mode", "tx_isolation"]
    question = f"SELECT {', '.join(f'@@SESSION.{name}' for name in names)}"
    with connected(make_url(mariadb_url)) as cursor:
        cursor.execute(question)
        theirs = cursor.fetchone()
    with database.read() as connection:
        ours = connection.execute(text(question)).one()
    assert ours == ("+00:00", "utf8mb4", "utf8mb4", "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION", "READ-COMMITTED")
    assert theirs[0] == "+09:00" and theirs[3:] == ("PIPES_AS_CONCAT,ANSI_QUOTES", "SERIALIZABLE")


@pytest.mark.parametrize("hostile", ["sql_select_limit = 1", "sql_quote_show_create = 0"])
def test_answers_are_whole_whatever_the_server_is_set_to(
    mariadb_url: str, mariadb_server: MariadbServer, hostile: str
) -> None:
    name = hostile.partition(" ")[0]
    with connected(make_url(mariadb_url)) as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        (usual,) = cursor.fetchone()
        cursor.execute(f"SET GLOBAL {hostile}")
        try:
            database = make_database(mariadb_url)
            write(database, sign_in(), sign_in())
            assert len(read_all(database, "sign-in")) == 2
            assert "geo_lease_owner" not in {
                column["name"] for column in inspect(database.engine).get_columns("melody_sign_in_log")
            }
            database.close()
        finally:
            cursor.execute(f"SET GLOBAL {name} = {usual}")


def test_tables_are_ours_whatever_the_database_is_set_to(database: Database) -> None:
    found = "SELECT table_name, engine, table_collation, row_format FROM information_schema.tables "
    with database.read() as connection:
        rows = connection.execute(text(found + "WHERE table_schema = database()")).all()
    ours = {row[0]: tuple(row[1:]) for row in rows if row[0] != VERSION_TABLE}
    assert len(ours) > 10
    assert set(ours.values()) == {("InnoDB", "utf8mb4_nopad_bin", "Dynamic")}


@pytest.mark.parametrize("options", ["?charset=latin1", "?charset=utf8&collation=utf8_general_ci", "?charset=utf8mb4"])
def test_character_set_of_the_host_does_not_reach_our_text(mariadb_url: str, options: str) -> None:
    database = make_database(mariadb_url + options)
    write(database, message(subject="🎵 änn"))
    assert [row.subject for row in read_all(database, "email")] == ["🎵 änn"]
    database.close()


def test_both_names_of_the_database_mean_the_same_logs(database: Database, mariadb_url: str) -> None:
    """A spool filled under one address is drained under the other."""
    other = make_database(mariadb_url.replace("mysql", "mariadb", 1))
    assert (other.dialect_name, database.dialect_name) == ("mariadb", "mysql")
    assert other.fingerprint == database.fingerprint
    write(database, sign_in())
    write(other, sign_in())
    assert count_rows(database, "sign-in") == count_rows(other, "sign-in") == 2
    other.close()


@pytest.mark.parametrize("version", ["8.0.36", "8.0.36-0ubuntu0.22.04.1", "5.7.44-log", "8.0.mysql_aurora.3.05.2"])
def test_mysql_is_refused_with_what_is_accepted(version: str) -> None:
    with pytest.raises(StorageUnavailableError, match=r'MySQL "[58].*MariaDB 10\.11 or newer'):
        refuse_unsuitable(version)


@pytest.mark.parametrize("version", ["10.6.18-MariaDB-0ubuntu0.22.04.1", "5.5.68-MariaDB", "10.10.7-MariaDB"])
def test_older_mariadb_is_refused_with_what_is_accepted(version: str) -> None:
    with pytest.raises(StorageUnavailableError, match=r'MariaDB ".*MariaDB 10\.11 or newer'):
        refuse_unsuitable(version)


@pytest.mark.parametrize("version", ["10.11.6-MariaDB-0+deb12u1", "11.4.2-MariaDB-log", "12.0.1-MariaDB"])
def test_newer_mariadb_is_accepted(version: str) -> None:
    refuse_unsuitable(version)


def test_server_of_small_packets_is_refused_with_the_remedy(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    with connected(mariadb_server.url()) as cursor:
        cursor.execute("SET GLOBAL max_allowed_packet = 524288")
        try:
            database = Database(lambda: Destination(make_url(mariadb_url), None))
            with pytest.raises(
                StorageUnavailableError, match=r"max_allowed_packet = 524288, which .* set it to 1048576 or more"
            ):
                upgrade(database)
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = DEFAULT")
    upgrade(database)
    database.close()


def test_row_that_no_packet_holds_is_kept_aside_and_the_others_pass(database: Database, tmp_path: Path) -> None:
    """Quoted, its text is longer than it was."""
    spool = Spool(tmp_path / "spool", destination=database.fingerprint)
    for mark, content in (("before", "x"), ("fits", "x" * 16_000_000), ("too big", "'" * 9_000_000), ("after", "x")):
        assert spool.append("sms", make_body(mark, content=content)) is not None
    drain = Drain(spool, database)
    assert drain.run_once() == 3
    assert count_marks(database) == {"before": 1, "fits": 1, "after": 1}
    assert spool.waiting().dead_letters == 1
    (file,) = spool.own_files()
    (reason,) = file._writing().execute("SELECT error FROM dead_letter").fetchone()
    assert "max_allowed_packet" in reason and "'''" not in reason


def test_sweep_of_waiting_sign_ins_reads_their_index_alone(database: Database) -> None:
    write(database, *(sign_in(geo_state="done") for _ in range(2000)), *(sign_in() for _ in range(20)))
    sweep = (
        "SELECT id, ip FROM melody_sign_in_log WHERE geo_state = 'pending' AND coalesce((SELECT lease_until "
        "FROM melody_location_claim WHERE sign_in_id = id), '1970-01-01') < utc_timestamp() "
        "ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED"
    )
    with database.read() as connection:
        plan = connection.execute(text(f"EXPLAIN {sweep}")).mappings().first()
    assert plan is not None and plan["key"] == "ix_melody_sign_in_log_geo_pending"
    assert int(plan["rows"]) < 200 and "filesort" not in plan["Extra"]


class Cut(Exception):
    """The upgrade breaks off."""


def cut_at(limit: int) -> Any:
    """Make what lets so many changes of tables pass, and breaks off before the next."""
    left = limit

    def cut(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal left
        if statement.lstrip().startswith(("CREATE", "DROP", "ALTER", f"UPDATE {VERSION_TABLE}")):
            left -= 1
            if left < 0:
                raise Cut

    return cut


@pytest.mark.parametrize("work", ["upgrade", "downgrade"])
def test_migration_that_broke_off_anywhere_is_repeated(mariadb_url: str, work: str) -> None:
    """MariaDB commits after each change of a table, so that nothing takes the first half back."""
    whole = make_database(mariadb_url)
    expected = snapshot(whole)
    done = 0

    for limit in range(0, 200, 11):
        downgrade(whole, "base")
        if work == "downgrade":
            upgrade(whole)
        cut = cut_at(limit)
        event.listen(whole.engine, "before_cursor_execute", cut)
        try:
            upgrade(whole) if work == "upgrade" else downgrade(whole, "base")
            break
        except Cut:
            done += 1
        finally:
            event.remove(whole.engine, "before_cursor_execute", cut)
        if work == "downgrade":
            downgrade(whole, "base")
            assert set(inspect(whole.engine).get_table_names()) == {VERSION_TABLE}
        upgrade(whole)
        assert current_revision(whole) == head_revision()
        assert snapshot(whole) == expected
    assert done > 1
    whole.close()


@pytest.mark.parametrize(("work", "places"), [("upgrade", 19), ("downgrade", 17)])
def test_migration_of_rows_that_broke_off_anywhere_is_repeated(mariadb_url: str, work: str, places: int) -> None:
    """What was moved before the break is there once."""
    database = make_database(mariadb_url)
    write(database, sign_in(), sign_in(), sign_in())
    with database.transaction() as connection:
        claim = {"sign_in_id": 2, "owner": "worker", "lease_until": None, "attempts": 3}
        connection.execute(insert(LocationClaim).values(claim))
    expected = snapshot(database)
    broken_off = 0
    for limit in range(30):
        if work == "upgrade":
            downgrade(database, "0001")
        cut = cut_at(limit)
        event.listen(database.engine, "before_cursor_execute", cut)
        try:
            upgrade(database) if work == "upgrade" else downgrade(database, "0001")
            break
        except Cut:
            broken_off += 1
        finally:
            event.remove(database.engine, "before_cursor_execute", cut)
            if work == "downgrade":
                downgrade(database, "0001")
            upgrade(database)
            assert snapshot(database) == expected
            with database.read() as connection:
                kept = connection.execute(select(LocationClaim.sign_in_id, LocationClaim.attempts)).all()
            assert kept == [(2, 3)]
    assert broken_off == places, "each change of a table, and the note of the version, was a place to break off"
    database.close()


def snapshot(database: Database) -> dict[str, str]:
    """The statement that makes each table, as the server tells it."""
    with database.read() as connection:
        names = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
        return {name: connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1] for name in names}


def test_user_who_may_not_make_tables_gets_the_statement(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    url = make_url(mariadb_url)
    with connected(mariadb_server.url()) as cursor:
        cursor.execute("CREATE OR REPLACE USER table_less")
        cursor.execute(f"GRANT SELECT ON {url.database}.* TO table_less")
        database = Database(lambda: Destination(url.set(username="table_less"), None))
        try:
            with pytest.raises(StorageUnavailableError) as caught:
                upgrade(database)
            statement = str(caught.value).split("or run ")[1]
            cursor.execute(statement)
            database.close()
            upgrade(database)
            assert current_revision(database) == head_revision()
        finally:
            database.close()
            cursor.execute("DROP USER table_less")


def test_ids_go_on_rising_after_the_server_was_killed(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    """Even where the newest row had been deleted: a reader that follows ids would miss the next one."""
    database = make_database(mariadb_url)
    write(database, sign_in(), sign_in())
    newest = read_all(database, "sign-in")[-1].id
    with database.write() as connection:
        connection.execute(text("DELETE FROM melody_sign_in_log"))
    mariadb_server.kill()
    mariadb_server.start()
    write(database, sign_in())
    assert read_all(database, "sign-in")[0].id > newest
    database.close()
