"""Our side beside the peers: the host of the login benchmark without a server, and mail.

The environment says how the logs are fed. Questions and answers are those of ``peers_django``.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from .children import answer_questions
from .login_host import PASSWORD, create_app
from .recording import make_calls, time_calls
from .samples import REQUEST, USER_AGENT
from .surroundings import close_host


def make_login(app: Flask, password: str, status: str) -> Callable[[], object]:
    """Give a function that logs in through WSGI, each time from another address."""
    builder = EnvironBuilder(
        "/login",
        method="POST",
        data={"email": "user7@example.org", "password": password},
        headers={"User-Agent": USER_AGENT},
    )
    count = 0

    def log_in() -> None:
        nonlocal count
        count += 1
        builder.environ_base = {"REMOTE_ADDR": f"198.51.{count // 250 % 250}.{count % 250}"}
        _, answered, _ = run_wsgi_app(app, builder.get_environ(), buffered=True)
        if not answered.startswith(status):
            raise RuntimeError(f"a login of the benchmark was answered with {answered}")

    return log_in


def main() -> None:
    """Answer questions with the median of the calls, in microseconds."""
    is_on = os.environ["BENCHMARK_LOGS"] != "off"
    app = create_app()
    calls = {"right": make_login(app, PASSWORD, "200"), "wrong": make_login(app, "wrong", "401")}
    with app.test_request_context(**REQUEST):
        if is_on:
            calls["mail"] = make_calls(app)["mail"]

        def answer(question: dict[str, Any]) -> dict[str, float]:
            return {"median": statistics.median(time_calls(calls[question["call"]], question["times"])) * 1e6}

        answer_questions(answer)
    if is_on:
        close_host(app)


if __name__ == "__main__":
    main()
