"""PostgreSQL behind TLS, with the address of the guide: encrypted, and the server's name and issuer checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from melody_logs.health import check_health
from melody_logs.state import state_of
from tests.docs import options_of_address
from tests.hosts import close_host, make_host
from tests.servers.postgresql import PostgresqlServer
from tests.servers.tls import Authority, tls_in_front_of
from tests.storage.rows import read_all


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority, and the certificate of a server."""
    return Authority(tmp_path / "authority")


def test_logs_are_written_to_postgresql_over_tls(
    postgresql_url: str, postgresql_server: PostgresqlServer, authority: Authority, tmp_path: Path
) -> None:
    options = options_of_address("operations.md", "postgresql+psycopg", authority.ca)
    with tls_in_front_of(postgresql_server.port, authority, postgresql=True) as port:
        address = postgresql_url.replace(f"127.0.0.1:{postgresql_server.port}", f"localhost:{port}")
        app, logs = make_host(f"{address}?{options}", tmp_path=tmp_path)
        with app.app_context():
            logs.record_sign_in(identity="ann@example.org", success=True)
        state = state_of(app)
        assert [row.identity for row in read_all(state.database, "sign-in")] == ["ann@example.org"]
        assert check_health(state).well
        close_host(app)


def test_database_with_a_strange_certificate_gets_nothing_and_health_says_why(
    postgresql_url: str, postgresql_server: PostgresqlServer, authority: Authority, tmp_path: Path
) -> None:
    """Requests go on; their entries wait in the spool until the right certificate is there."""
    stranger = Authority(tmp_path / "stranger", "Somebody else")
    options = options_of_address("operations.md", "postgresql+psycopg", stranger.ca)
    with tls_in_front_of(postgresql_server.port, authority, postgresql=True) as port:
        address = postgresql_url.replace(f"127.0.0.1:{postgresql_server.port}", f"localhost:{port}")
        folder = tmp_path / "host"
        app, logs = make_host(tmp_path=folder, MELODY_LOGS_DATABASE_URI=f"{address}?{options}")
        with app.app_context():
            assert logs.record_sign_in(identity="ann@example.org", success=True)
        finding = next(found for found in check_health(state_of(app)).findings if found.name == "Database")
        assert finding.level == "bad" and "certificate verify failed" in finding.text
        assert state_of(app).spool.waiting().entries == 1
        close_host(app)
