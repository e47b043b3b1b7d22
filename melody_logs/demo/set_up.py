"""Prepares the databases of the demo; run as a process of its own, so that the supervisor stays small.

Prints one line of JSON: the client of the API and the address of the log database.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from flask import Flask

from .accounts import add_first_accounts
from .app import create_app

CLIENT_NAME = "demo"


class SetUpError(Exception):
    """A step of the set-up failed; the text is what it said."""


def main() -> None:
    """Bring the tables up to date, make the accounts and, unless standard input names one, a client of the API."""
    known = json.load(sys.stdin)
    app = create_app()
    run_command(app, "db", "upgrade")
    with app.app_context():
        add_first_accounts(app.extensions["melody_demo"])
    client = known if has_client(app, known.get("client_id")) else make_client(app)
    print(json.dumps({**client, "database_url": log_database_url(app)}))


def make_client(app: Flask) -> dict[str, Any]:
    """Make a client of the API that may do everything."""
    made = json.loads(run_command(app, "client", "create", CLIENT_NAME, "--scope", "root", "--json"))
    return {name: made[name] for name in ("client_id", "client_secret")}


def has_client(app: Flask, client_id: str | None) -> bool:
    """Say whether the log database knows this client; another database may have been chosen since."""
    return bool(client_id) and str(client_id) in run_command(app, "client", "list")


def log_database_url(app: Flask) -> str:
    """The address of the log database, password included."""
    url: str = app.extensions["melody_logs"].database.url.render_as_string(hide_password=False)
    return url


def run_command(app: Flask, *arguments: str) -> str:
    """Run ``flask melody-logs ...`` and return what it prints.

    :raise SetUpError: with its words, if it fails.
    """
    result = app.test_cli_runner().invoke(args=["melody-logs", *arguments])
    if result.exit_code != 0:
        raise SetUpError(f"flask melody-logs {' '.join(arguments)}: {result.output.strip() or result.exception!r}")
    return str(result.stdout)


if __name__ == "__main__":
    main()
