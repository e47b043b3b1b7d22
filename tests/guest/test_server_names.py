"""Hosts with a name, with subdomains of tenants, and with routes on several hosts: ours are where they belong."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from melody_logs import ConfigurationError
from melody_logs.state import state_of
from tests.api.conftest import assert_problem
from tests.guest.conftest import API, CLEAN, KEYS, PAGES, MoveIn, NewHost, bearer, read_form
from tests.storage.rows import read_all

HOST: dict[str, Any] = {"base_url": "https://host.example:8443"}
TENANT: dict[str, Any] = {"base_url": "https://tenant.host.example:8443"}


def assert_all_works(app: Flask) -> None:
    """Look, clean, ask as a program and sign in, all under the host's name."""
    client, headers = app.test_client(), bearer(app, **HOST)
    form = read_form(client, **HOST)
    answer = client.post(CLEAN, data=form, **HOST)
    assert (answer.status_code, answer.location[: len(CLEAN)]) == (303, CLEAN)
    assert client.get(answer.location, **HOST).status_code == 200
    assert client.get(f"{API}/email", headers=headers, **HOST).status_code == 200
    assert client.get(KEYS, **HOST).status_code == 200
    assert_problem(client.get(f"{API}/fax", **HOST), 404)
    done = app.test_cli_runner().invoke(args=["melody-logs", "health"])
    assert "Recording" in done.output, done.output


def test_host_with_a_server_name(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host(SERVER_NAME="host.example:8443", PREFERRED_URL_SCHEME="https")
    move_in(app)
    assert_all_works(app)


def add_tenants(app: Flask, **place: Any) -> None:
    """Give tenants a page for every path, and a login view that is theirs."""
    methods = ["GET", "POST", "DELETE"]
    app.add_url_rule("/<path:path>", "everything", lambda path: f"tenant: {path}", methods=methods, **place)
    app.add_url_rule("/admin/logs/", "own_logs", lambda: "the tenant's own logs", **place)


@pytest.mark.parametrize("before", [True, False])
def test_host_with_subdomains_for_its_tenants(new_host: NewHost, move_in: MoveIn, before: bool) -> None:
    """A tenant's page at a path of ours is in nobody's way, and no answer of ours comes there."""
    app = new_host(SERVER_NAME="host.example:8443", PREFERRED_URL_SCHEME="https")
    app.subdomain_matching = True
    app.url_map.default_subdomain = ""
    if before:
        add_tenants(app, subdomain="tenant")
    move_in(app)
    if not before:
        add_tenants(app, subdomain="tenant")
    assert_all_works(app)
    assert_tenant_is_alone(app)


def assert_tenant_is_alone(app: Flask) -> None:
    """Check that a tenant's name leads to nothing of ours, by no method."""
    client, headers = app.test_client(), bearer(app, **HOST)
    assert client.get(f"{PAGES}/", **TENANT).text == "the tenant's own logs"
    for path in (f"{API}/fax", f"{API}/email", "/oauth2/v1/token", f"{PAGES}/sign-in"):
        for method in ("GET", "POST", "DELETE"):
            answer = client.open(path, method=method, headers=headers, **TENANT)
            assert answer.text == f"tenant: {path[1:]}"


@pytest.fixture
def matching_host(new_host: NewHost) -> Any:
    """A host of which each route has a host of its own."""

    def make(**config: Any) -> Flask:
        plain = new_host(**config)
        app = Flask("matching", instance_path=plain.instance_path, host_matching=True, static_host="host.example:8443")
        app.config.update(plain.config)
        app.add_url_rule("/", "home", lambda: "the host's own page", host="host.example:8443")
        return app

    return make


def test_host_that_matches_hosts(matching_host: Any, move_in: MoveIn) -> None:
    app = matching_host(MELODY_LOGS_HOST="host.example:8443")
    add_tenants(app, host="tenant.host.example:8443")
    move_in(app)
    assert_all_works(app)
    assert_tenant_is_alone(app)


def test_host_that_matches_hosts_and_names_none_is_told_the_key(matching_host: Any, move_in: MoveIn) -> None:
    app = matching_host()
    with pytest.raises(ConfigurationError, match=r'host_matching=True.*: set "MELODY_LOGS_HOST"'):
        move_in(app)
    assert app.test_client().get("/", **HOST).text == "the host's own page"


def test_host_that_matches_none_and_names_one_is_told_so(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host(MELODY_LOGS_HOST="app.example")
    with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_HOST" is "app\.example", but'):
        move_in(app)


def test_sign_in_of_a_host_that_matches_hosts_is_recorded(matching_host: Any, move_in: MoveIn) -> None:
    app = matching_host(MELODY_LOGS_HOST="host.example:8443")
    app.add_url_rule("/in", "sign_in", lambda: "welcome", methods=["POST"], host="tenant.host.example:8443")
    move_in(app).watch_sign_in("sign_in")
    assert app.test_client().post("/in", data={"email": "ann@example.org"}, **TENANT).text == "welcome"
    assert [row.identity for row in read_all(state_of(app).database, "sign-in")] == ["ann@example.org"]
