"""How commands speak: tables and progress by rich, errors in one sentence, hostile text made visible."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import DBAPIError, TimeoutError

from ..errors import MelodyLogsError
from ..state import state_of
from ..storage.trouble import explain_trouble

P = ParamSpec("P")
R = TypeVar("R")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def console() -> Console:
    """Give a console on the current standard output."""
    return Console(highlight=False, soft_wrap=True)


def print_line(text: str) -> None:
    """Print one line as it is, without markup."""
    click.echo(text)


def visible(value: object) -> str:
    """Show text that strangers wrote: control and direction characters become escapes, markup loses its meaning."""
    text = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", "" if value is None else str(value))
    return escape(text)


def show_time(moment: datetime | None) -> str:
    """Show a UTC instant to the second."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def explain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that an operator can mend into one sentence and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MelodyLogsError as error:
            raise click.ClickException(str(error)) from error
        except (DBAPIError, TimeoutError) as error:
            raise click.ClickException(": ".join(explain_trouble(state_of().database.destination, error))) from error

    return wrapped
