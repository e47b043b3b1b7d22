"""Libraries: what is connected, what could not be, what is used and was not asked for, and logs that stay quiet."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from melody_logs.coverage import Remark, describe_coverage, examine
from melody_logs.coverage import libraries as libraries_module
from melody_logs.errors import ConfigurationError
from melody_logs.integrations import Integration, wiring
from melody_logs.state import State, state_of
from tests.hosts import close_host, make_host
from tests.storage.rows import message, sign_in, write


class Found(Integration):
    """An integration of a library that every test has."""

    name = "Found"
    distribution = "flask"
    module = "flask"
    records = "sign-ins, sign-outs"

    def connect(self, app: Flask, state: State) -> None:
        """Connect nothing."""


class Refused(Found):
    """An integration whose library is half-configured."""

    name = "Refused"

    def check(self, app: Flask) -> None:
        raise ConfigurationError('"KEY" is not set: set it')


class Broken(Found):
    """An integration that fails when it is asked for its gaps."""

    name = "Broken"

    def find_gaps(self, app: Flask) -> list[str]:
        raise RuntimeError("no")


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the three be what is looked for."""
    for module in (wiring, libraries_module):
        monkeypatch.setattr(module, "FOUND_AUTOMATICALLY", (Found, Refused, Broken))
    yield


def remarks_of(app: Flask) -> list[Remark]:
    with app.app_context():
        return list(examine(app).remarks)


@pytest.mark.usefixtures("catalogue")
def test_connected_and_refused_libraries_are_told_apart(sqlite_url: str, tmp_path: Any) -> None:
    app, logs = make_host(sqlite_url, tmp_path=tmp_path)
    logs.use(Found())
    with app.app_context():
        report = describe_coverage(examine(app))
    names = [(one["name"], one["is_asked"], one["records"]) for one in report["integrations"]]
    assert names == [("Broken", False, "sign-ins, sign-outs"), ("Found", True, "sign-ins, sign-outs")]
    assert {one["version"].partition(".")[0] for one in report["integrations"]} == {"3"}
    told = {remark["name"]: remark for remark in report["findings"]}
    assert told["Integrations"]["text"] == "Refused is used, but could not be connected"
    assert (told["Integrations"]["evidence"], told["Integrations"]["remedy"]) == ('"KEY" is not set', "set it")
    assert "could not be looked at" in told["Broken"]["text"]
    assert report["well"] is False
    close_host(app)


@pytest.mark.usefixtures("catalogue")
def test_used_library_that_is_not_connected_is_named(sqlite_url: str, tmp_path: Any) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_AUTO_INTEGRATE=False)
    told = remarks_of(app)
    assert [one.text for one in told] == [
        f"{name} is used, but not connected" for name in ("Found", "Refused", "Broken")
    ]
    assert told[0].remedy == "logs.use(Found()), or set MELODY_LOGS_AUTO_INTEGRATE to True"
    close_host(app)


def test_sender_that_nobody_knows_is_named_until_its_messages_are_recorded(
    sqlite_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, part_of_host = types.ModuleType("postmarker"), types.ModuleType("host.mail")
    monkeypatch.setitem(sys.modules, "postmarker", sender)
    monkeypatch.setitem(sys.modules, "host.mail", part_of_host)
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    assert [one for one in remarks_of(app) if "postmarker" in one.text] == [], "another library may have loaded it"
    monkeypatch.setattr(part_of_host, "postmarker", sender, raising=False)
    (remark,) = [one for one in remarks_of(app) if "postmarker" in one.text]
    assert remark.remedy == "send inside logs.sending_email(…)"
    write(state_of(app).database, message())
    assert [one for one in remarks_of(app) if "postmarker" in one.text] == []
    close_host(app)


def test_log_that_stays_quiet_while_others_do_not_is_named(sqlite_url: str, tmp_path: Any) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    database = state_of(app).database
    assert remarks_of(app) == [], "an app without any rows is new"
    write(database, message(), age=timedelta(days=31))
    write(database, sign_in(), age=timedelta(days=8))
    told = {one.text.partition(":")[0]: one for one in remarks_of(app) if one.name == "Quiet logs"}
    assert set(told) == {"Email", "SMS"}
    assert told["SMS"].evidence == "there has never been one" and "of 20" in told["Email"].evidence
    assert told["SMS"].remedy.endswith("set MELODY_LOGS_ENABLE_SMS_LOG to False")
    close_host(app)


def test_quiet_logs_of_an_app_that_has_only_begun_are_not(sqlite_url: str, tmp_path: Any) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    write(state_of(app).database, sign_in())
    assert remarks_of(app) == []
    close_host(app)


def test_nothing_enabled_is_said_and_a_database_that_is_away_too(tmp_path: Any) -> None:
    kinds: dict[str, Any] = {f"MELODY_LOGS_ENABLE_{kind}_LOG": False for kind in ("EMAIL", "SMS", "SIGN_IN")}
    app, _ = make_host(None, tmp_path=tmp_path, **kinds)
    assert [one.text for one in remarks_of(app)] == ["no log is on: nothing is recorded"]
    close_host(app)
    away, _ = make_host(None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=f"sqlite:///{tmp_path / 'none.db'}")
    (remark,) = remarks_of(away)
    assert (remark.name, remark.remedy) == ("Logs", "flask melody-logs health")
    close_host(away)
