"""examples/flask_login_app.py, tried as a new user would."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from tests.integrations.examples import Example


def test_every_attempt_is_one_row_with_its_reason(serve: Callable[[Flask], str]) -> None:
    example = Example("flask_login_app", serve)
    tries = [("nobody", "correct horse"), ("ann", "wrong horse"), ("bob", "correct horse"), ("ann", "correct horse")]
    answers = [
        example.post_form("/sign-in", email=f"{name}@example.org", password=password) for name, password in tries
    ]
    assert ["Please try again" in answer.text for answer in answers] == [True, True, True, False]
    pages = example.visitor.get("/admin/logs/sign-in")
    example.post_form("/")
    assert example.told() == [
        ("sign_in", "failure", "unknown_account", "password", "nobody@example.org"),
        ("sign_in", "failure", "wrong_password", "password", "ann@example.org"),
        ("sign_in", "failure", "locked_account", "password", "bob@example.org"),
        ("sign_in", "success", None, "password", "ann@example.org"),
        ("sign_out", "success", None, None, "ann@example.org"),
    ]
    assert "Locked account" in pages.text
    stored = example.read_files()
    assert b"correct horse" not in stored
    assert b"wrong horse" not in stored
    example.close()
