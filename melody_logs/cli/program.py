"""The console script ``melody-logs``: what needs no host app of yours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from ..errors import MelodyLogsError


@click.group(name="melody-logs")
def main() -> None:
    """The email, SMS and sign-in logs for Flask apps. In your app, the commands are under "flask melody-logs"."""


@main.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port on 127.0.0.1; 0: any. [default: 8000 if free, else any]"
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Folder of its databases, logs and secrets; kept from one start to the next.",
)
@click.option("--database-url", help="Database instead of SQLite, such as postgresql+psycopg://user@host/name.")
@click.option("--broker-url", help="Broker instead of the embedded one, such as redis://127.0.0.1:6379/0.")
@click.option("--no-traffic", is_flag=True, help="No visitors from around the world.")
def demo(port: int | None, data_dir: Path, database_url: str | None, broker_url: str | None, no_traffic: bool) -> None:
    """Run a small host app with its worker, to see what melody_logs does. Ctrl-C ends it."""
    try:
        from ..demo.supervisor import DemoOptions, run_demo
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f'the demo needs the package "{error.name}": install it with "pip install melody-logs[demo]"'
        ) from error
    options = DemoOptions(
        data_dir=data_dir.resolve(), port=port, database_url=database_url, broker_url=broker_url, traffic=not no_traffic
    )
    try:
        run_demo(options, announce=_announce)
    except MelodyLogsError as error:
        raise click.ClickException(str(error)) from error


def _announce(facts: dict[str, Any]) -> None:
    print(f"READY {facts['url']}", flush=True)
    rows = Table.grid(padding=(0, 2))
    for title, value in (
        ("Host app", facts["url"]),
        ("Logs", facts["admin_url"]),
        ("Email", facts["admin_email"]),
        ("Password", facts["admin_password"]),
    ):
        rows.add_row(title, value)
    console = Console(highlight=False)
    console.print(Panel(rows, title="melody_logs demo", subtitle="Ctrl-C ends it", expand=False, border_style="dim"))
    console.file.flush()
