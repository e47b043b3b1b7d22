"""``flask melody-logs geoip ...``: the files by which sign-ins are located."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from sqlalchemy.exc import DBAPIError, TimeoutError

from ..errors import LocationUpdateError, MelodyLogsError
from ..geolocation.downloading import TIMEOUT_SECONDS
from ..geolocation.kinds import kind_of, licence_of
from ..geolocation.providers import (
    DBIP_ADDRESS,
    DBIP_EDITIONS,
    DEFAULT_EDITION,
    MAXMIND_ADDRESS,
    Offer,
    offer_address,
    offer_dbip,
    offer_maxmind,
)
from ..geolocation.status import FileStatus, list_files
from ..geolocation.updating import MOST_MEGABYTES, Update, update_file
from ..health.figures import MOST_PENDING_COUNTED
from ..settings import Settings
from ..state import State, state_of
from ..storage.locations import count_pending
from .output import console, explain_errors, print_line, visible

_FIELD_WORDS = {
    "country": "country",
    "region": "region",
    "city": "city",
    "latitude": "coordinates",
    "timezone": "time zone",
    "asn": "network",
}
_STATES = {
    "ok": "[green]✓ answers[/]",
    "kept": "[yellow]! kept[/]",
    "unavailable": "[red]✗ unreadable[/]",
}


@click.group("geoip", help="The files by which sign-ins are located: renew them, see what they know.")
def geoip_group() -> None:
    """Group the commands of the location files."""


@geoip_group.command("update")
@click.option(
    "--provider", type=click.Choice(["maxmind", "dbip"]), default="maxmind", show_default=True, help="Whose file."
)
@click.option("--edition", help=f"MaxMind: {DEFAULT_EDITION} and others; DB-IP: {', '.join(DBIP_EDITIONS)}.")
@click.option("--month", metavar="YYYY-MM", help="DB-IP: the file of that month, not the newest.")
@click.option("--url", help="Any other file instead: .mmdb, .mmdb.gz or .tar.gz.")
@click.option("--sha256", "checksum", help="With --url: checksum of the download or of the file in it.")
@click.option("--server", help="A mirror of the provider's server, such as https://mirror.example.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to, if not where configured.")
@click.option("--force", is_flag=True, help="Also replace by an older file, or one of another kind.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=TIMEOUT_SECONDS, show_default=True, metavar="SECONDS"
)
@click.option("--max-megabytes", type=click.IntRange(1, 100_000), default=MOST_MEGABYTES, show_default=True)
@with_appcontext
@explain_errors
def update_command(output: Path | None, force: bool, timeout: float, max_megabytes: int, **choice: Any) -> None:
    """Download a newer location file, check it and put it in place in one step; workers use it by themselves."""
    settings = state_of().settings
    offer = _find_offer(settings, **choice)
    path = output or _find_place(settings, offer.kind)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(), transient=True) as progress:
        bar = progress.add_task(f"Downloading from {visible(offer.provider)}", total=None)
        result = update_file(
            offer,
            path,
            force=force,
            most_bytes=max_megabytes * 1_000_000,
            timeout_seconds=timeout,
            on_progress=lambda came, whole: progress.update(bar, completed=came, total=whole),
        )
    _show_update(settings, result)


def _find_offer(
    settings: Settings,
    *,
    provider: str,
    edition: str | None,
    month: str | None,
    url: str | None,
    checksum: str | None,
    server: str | None,
) -> Offer:
    if url is not None:
        return offer_address(url, checksum=checksum)
    if checksum is not None:
        raise click.UsageError("--sha256 goes with --url; the checksum of MaxMind's files is looked up by itself.")
    if provider == "dbip":
        return offer_dbip(
            datetime.now(UTC).date(), edition=edition or "city-lite", month=month, server=server or DBIP_ADDRESS
        )
    return offer_maxmind(
        settings.maxmind_account_id,
        settings.maxmind_license_key,
        edition=edition or DEFAULT_EDITION,
        server=server or MAXMIND_ADDRESS,
    )


def _find_place(settings: Settings, kind: str | None) -> Path:
    """Find the configured file of that kind, by its name; a single one of no telling name serves all.

    :raise LocationUpdateError: if there is none, or more than one.
    """
    configured = [Path(path) for path in settings.geoip_database]
    if not configured:
        raise LocationUpdateError(
            'no location file is configured: set "MELODY_LOGS_GEOIP_DATABASE" to where it is to be, such as '
            "/srv/geo/GeoLite2-City.mmdb, or name a place with --output"
        )
    fitting = [path for path in configured if kind is None or kind_of(path.name) in (kind, None)]
    if len(fitting) != 1:
        names = ", ".join(path.name for path in configured)
        what = "no file of that kind" if not fitting else "more than one file that it may be"
        raise LocationUpdateError(
            f'"MELODY_LOGS_GEOIP_DATABASE" names {what} ({names}): name the place with --output, or choose another '
            "--edition"
        )
    return fitting[0]


def _show_update(settings: Settings, result: Update) -> None:
    facts, before = result.facts, result.before
    if not result.is_changed:
        print_line(f"{facts.type} of {facts.built_at:%Y-%m-%d} is the newest there is; nothing was changed.")
        return
    print_line(f"{facts.type} of {facts.built_at:%Y-%m-%d} is in place ({facts.bytes / 1e6:,.1f} MB): {facts.path}")
    print_line(f"It knows: {_say_fields(facts.fields)}.")
    if before is not None:
        print_line(f"Before it there was {before.type} of {before.built_at:%Y-%m-%d}.")
    if licence := licence_of(facts.type):
        print_line(f"Licence: {licence}.")
    if facts.path in {str(Path(path).resolve()) for path in settings.geoip_database}:
        print_line("Workers use it from their next look-up on. For older sign-ins: flask melody-logs relocate")
    else:
        print_line('No worker reads it yet: name it in "MELODY_LOGS_GEOIP_DATABASE".')


@geoip_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@with_appcontext
@explain_errors
def status_command(as_json: bool) -> None:
    """Say what the location files are, how old, what they know, and how many sign-ins wait for them.

    The exit code is 1 if one cannot be read.
    """
    state = state_of()
    files = list_files(state.locator)
    waiting = _count_waiting(state)
    if as_json:
        print_line(json.dumps({"files": [file.describe() for file in files], "waiting_sign_ins": waiting}, indent=2))
    else:
        for file in files:
            _show_file(file)
        _show_waiting(waiting)
    if any(file.info.error for file in files):
        raise click.exceptions.Exit(1)


def _count_waiting(state: State) -> int | None:
    """Count the sign-ins that wait; None if the database cannot be asked: the files are told all the same."""
    try:
        with state.database.read() as connection:
            return count_pending(connection, at_most=MOST_PENDING_COUNTED)
    except (MelodyLogsError, DBAPIError, TimeoutError):
        return None


def _show_waiting(waiting: int | None) -> None:
    if waiting is None:
        print_line("How many sign-ins wait for their location is not known: flask melody-logs health says why.")
        return
    more = " or more" if waiting >= MOST_PENDING_COUNTED else ""
    print_line(f"Sign-ins that wait for their location: {waiting:,}{more}.")


def _show_file(file: FileStatus) -> None:
    info, facts = file.info, file.facts
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("  File", "comes with melody_logs; approximate" if file.is_bundled else visible(info.path))
    if info.built_on is not None:
        rows.add_row("  Built", f"{info.built_on}, {info.age_days:,} days ago")
    if facts is not None:
        addresses = "IPv4" if facts.ip_version == 4 else "IPv4 and IPv6"
        rows.add_row("  Size", f"{facts.bytes / 1e6:,.1f} MB, a tree of {facts.nodes:,} nodes for {addresses}")
        rows.add_row("  Knows", f"{_say_fields(facts.fields)} ({facts.layout} layout)")
    if file.licence:
        rows.add_row("  Licence", visible(file.licence))
    if info.error:
        rows.add_row("  Trouble", visible(info.error))
    console().print(f"{_STATES[info.state]}  [bold]{visible(info.name)}[/]")
    console().print(rows)


def _say_fields(fields: tuple[str, ...]) -> str:
    return ", ".join(word for name, word in _FIELD_WORDS.items() if name in fields) or "continent"
