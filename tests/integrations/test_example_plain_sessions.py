"""examples/plain_sessions.py, used through HTTP as a new user would."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest

from tests.integrations.examples import Example


def test_every_attempt_and_message_is_one_row_without_a_secret(capsys: pytest.CaptureFixture[str], serve: Any) -> None:
    with closing(Example("plain_sessions", serve)) as example:
        client = example.visitor
        for name, password in (("ann", "wrong horse"), ("nobody", "wrong horse"), ("ben", "correct horse")):
            client.post("/", data={"email": f"{name}@example.org", "password": password})
        for name in ("ann", "nobody"):
            client.post("/forgot", data={"email": f"{name}@example.org"})
        (link,) = re.findall(r"http://\S+/reset/\S+", capsys.readouterr().out)
        client.get(link)
        for _ in range(2):
            client.post(link, data={"password": "battery staple"}, headers={"Referer": link})
        answer = client.post("/", data={"email": "ann@example.org", "password": "battery staple"})
        assert "Sign out" in answer.text
        assert client.get("/admin/logs/").status_code == 200
        client.post("/logout")
        assert [(row.event, row.outcome, row.reason, row.identity) for row in example.rows("sign-in")] == [
            ("sign_in", "failure", "wrong_password", "ann@example.org"),
            ("sign_in", "failure", "unknown_account", "nobody@example.org"),
            ("sign_in", "failure", "locked_account", "ben@example.org"),
            ("recovery", "success", None, "ann@example.org"),
            ("recovery", "failure", "unknown_account", "nobody@example.org"),
            ("password_reset", "success", None, "ann@example.org"),
            ("password_reset", "failure", "wrong_code", None),
            ("sign_in", "success", None, "ann@example.org"),
            ("sign_out", "success", None, None),
        ]
        assert [row.user_id for row in example.rows("sign-in")[-2:]] == ["ann@example.org"] * 2
        (mail,) = example.rows("email")
        assert (mail.status, mail.purpose, mail.receiver) == ("sent", "password_reset", "ann@example.org")
        written = example.read_files()
        for secret in (link.rpartition("/")[2], "wrong horse", "correct horse", "battery staple"):
            assert secret.encode() not in written
