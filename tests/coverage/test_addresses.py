"""The proxy set-up, judged by the rows that real requests left: what is wrong, and the line that mends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from melody_logs import MelodyLogs
from melody_logs.coverage import Remark, examine
from melody_logs.coverage.networks import name_network
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all, sign_in, write

IMPORT = "from werkzeug.middleware.proxy_fix import ProxyFix"
PROXY, CLIENT = "10.0.0.2", "81.2.69.{}"


@pytest.fixture
def host(sqlite_url: str, tmp_path: Any) -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host(
        sqlite_url, tmp_path=tmp_path, MELODY_LOGS_ENABLE_EMAIL_LOG=False, MELODY_LOGS_ENABLE_SMS_LOG=False
    )

    @app.post("/enter")
    def enter() -> str:
        logs.record_sign_in(identity=f"user{request.args.get('user')}@example.org", success=True)
        return "in"

    yield app, logs
    close_host(app)


def visit(app: Flask, *, hops: str = "", address: str = PROXY, count: int = 6, **headers: str) -> None:
    """Let six users sign in by a proxy at *address*; *hops* is its X-Forwarded-For, with {} for who it is."""
    for number in range(1, count + 1):
        sent = {**headers, **({"X-Forwarded-For": hops.replace("{}", str(number))} if hops else {})}
        app.test_client().post(
            f"/enter?user={number}", headers=sent, environ_base={"REMOTE_ADDR": address.replace("{}", str(number))}
        )


def fix(app: Flask, **hops: int) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app, **hops)  # type: ignore[method-assign]


def remarks_of(app: Flask) -> list[Remark]:
    with app.app_context():
        return [remark for remark in examine(app).remarks if remark.name in ("Proxy", "Addresses")]


def lines_of(remark: Remark) -> list[str]:
    """Give the lines of code of a remedy."""
    return remark.remedy.splitlines()[1:]


def line(hops: int) -> str:
    return f"app.wsgi_app = ProxyFix(app.wsgi_app, x_for={hops}, x_proto=1, x_host=1)"


@pytest.mark.parametrize(("hops", "number"), [(CLIENT, 1), (CLIENT + ", 10.0.0.9", 2)])
def test_forwarded_header_without_proxy_fix(host: tuple[Flask, MelodyLogs], hops: str, number: int) -> None:
    app, _ = host
    visit(app, hops=hops)
    (remark,) = remarks_of(app)
    assert "records the proxy's address" in remark.text
    assert remark.evidence.startswith("6 of the newest 6 sign-ins came with")
    assert lines_of(remark) == [IMPORT, line(number)]
    assert {row.marks for row in read_all(state_of(app).database, "sign-in")} == {f"ip:forwarded_{number}"}


def test_line_of_the_remedy_mends_it(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, hops=CLIENT)
    exec("\n".join(lines_of(remarks_of(app)[0])), {"app": app})
    visit(app, hops=CLIENT, count=10)
    rows = read_all(state_of(app).database, "sign-in")[6:]
    assert [(row.ip, row.marks) for row in rows] == [(f"81.2.69.{number}", None) for number in range(1, 11)]
    assert remarks_of(app) == []


def test_addresses_that_a_client_adds_do_not_raise_the_number(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, hops="1.1.1.1, 2.2.2.2, " + CLIENT, count=3)
    visit(app, hops=CLIENT)
    (remark,) = remarks_of(app)
    assert lines_of(remark)[1] == line(1)


def test_headers_of_a_few_strangers_say_nothing(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, address="81.2.69.{}", count=9)
    visit(app, hops="6.6.6.6", address="81.2.70.{}", count=5)
    assert remarks_of(app) == []


def test_proxy_fix_that_expects_too_many_proxies(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    fix(app, x_for=2)
    visit(app, hops=CLIENT)
    (remark,) = remarks_of(app)
    assert remark.text == "ProxyFix expects more proxies than there are: a client can choose its own address"
    assert "in the place of the ProxyFix that is there" in remark.remedy and lines_of(remark)[1] == line(1)


def test_proxy_fix_without_a_proxy(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    fix(app, x_for=1)
    visit(app, address="81.2.69.{}")
    (remark,) = remarks_of(app)
    assert "no proxy sends" in remark.text and remark.remedy.startswith("if there is no proxy, remove ProxyFix")


def test_header_of_rfc_7239(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, Forwarded="for=81.2.69.1")
    (remark,) = remarks_of(app)
    assert "the header Forwarded" in remark.text and lines_of(remark) == [IMPORT, line(1)]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("104.16.3.{}", "Cloudflare"),
        ("151.101.1.{}", "Fastly"),
        ("130.176.4.{}", "CloudFront"),
        ("2606:4700::{}", "Cloudflare"),
    ],
)
@pytest.mark.parametrize("believed", [0, 1])
def test_address_of_a_delivery_network(host: tuple[Flask, MelodyLogs], address: str, name: str, believed: int) -> None:
    app, _ = host
    if believed:
        fix(app, x_for=1)
        visit(app, hops=f"{CLIENT}, {address}")
    else:
        visit(app, address=address)
    (remark,) = remarks_of(app)
    assert remark.text == f"the recorded addresses are those of {name}, not of people"
    assert lines_of(remark)[1] == line(believed + 1)


@pytest.mark.parametrize("address", ["10.0.0.2", "127.0.0.1", "203.0.113.9"])
def test_one_address_for_all_accounts(host: tuple[Flask, MelodyLogs], address: str) -> None:
    app, _ = host
    visit(app, address=address)
    (remark,) = remarks_of(app)
    assert remark.text == "nearly all sign-ins seem to come from one address"
    assert f"of 6 accounts, have the address {address}" in remark.evidence
    assert lines_of(remark)[1] == line(1)


def test_few_private_addresses_for_all_accounts(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, address="10.0.0.7", count=3)
    visit(app, address="10.0.0.8")
    (remark,) = remarks_of(app)
    assert "10.0.0.7, 10.0.0.8" in remark.evidence and remark.level == "warning"


def test_private_network_of_people_is_a_note(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, address="10.0.1.{}")
    (remark,) = remarks_of(app)
    assert (remark.level, remark.text) == ("note", "all sign-ins have private addresses, which have no location")


def test_people_everywhere_are_no_finding_nor_is_one_person_at_home(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    write(state_of(app).database, *[sign_in(ip="81.2.69.9", user_id="7") for _ in range(9)])
    assert remarks_of(app) == []
    visit(app, address="81.2.70.{}")
    assert remarks_of(app) == []


def test_other_forms_of_addresses_are_notes(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    visit(app, address="::ffff:81.2.69.{}")
    visit(app, address="fe80::{}%eth0")
    notes = remarks_of(app)
    assert [(note.level, note.evidence) for note in notes] == [("note", "6 of the newest 12 sign-ins")] * 2
    assert {row.marks for row in read_all(state_of(app).database, "sign-in")} == {"ip:mapped", "ip:zone"}


def test_address_that_the_host_hands_over_is_not_judged(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    with app.test_request_context("/", headers={"X-Forwarded-For": "81.2.69.1"}):
        logs.record_sign_in(ip="81.2.69.1", success=True)
    (row,) = read_all(state_of(app).database, "sign-in")
    assert row.marks is None


@pytest.mark.parametrize("hops", [",", ", ,", "a" * 5000, ",".join(["1.1.1.1"] * 5000), "é"])
def test_hostile_headers_are_recorded_as_a_number_at_most(host: tuple[Flask, MelodyLogs], hops: str) -> None:
    app, _ = host
    visit(app, hops=hops)
    assert {len(row.marks) for row in read_all(state_of(app).database, "sign-in")} == {len("ip:forwarded_1")}
    assert json.dumps([str(remark) for remark in remarks_of(app)])


def test_published_networks_are_told_from_their_neighbours() -> None:
    assert [name_network(address) for address in ("172.64.0.1", "172.63.255.255", "2a04:4e42::1", "8.8.8.8")] == [
        "Cloudflare",
        None,
        "Fastly",
        None,
    ]
