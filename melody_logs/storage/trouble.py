"""What a database driver's error means for whoever can mend it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from .destination import Destination, show_url

#: What servers that answer say to a wrong user, password or database: PostgreSQL's severity, MariaDB's numbers.
_REFUSALS = ("FATAL:", "(1044,", "(1045,", "(1049,")
#: A user without the rights: PostgreSQL (insufficient_privilege), MariaDB.
_FORBIDDEN = ("permission denied", "(1142,", "(1143,")


class Trouble(NamedTuple):
    """What is wrong, and what helps."""

    text: str
    remedy: str


def has_answered(error: BaseException) -> bool:
    """Say whether the error is a server's own answer: PostgreSQL's has a state, MariaDB's a number below 2000."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if getattr(original, "sqlstate", None) or getattr(original, "pgcode", None):
        return True
    code = original.args[0] if original is not None and original.args else None
    return isinstance(code, int) and code < 2000


def is_forbidden(error: BaseException) -> bool:
    """Say whether the server lets us in, but not to the tables."""
    reason = find_reason(error)
    return "FATAL:" not in reason and any(sign in reason for sign in _FORBIDDEN)


def explain_trouble(destination: Destination, error: BaseException) -> Trouble:
    """Say what an error of the database there means, without the statement and its values, and what helps."""
    url, key, reason = destination.url, destination.key, find_reason(error)
    shown = show_url(url)
    if url.get_backend_name() == "sqlite":
        remedy = f'let the user of this process write the file and its folder, or name another place in "{key}"'
        return Trouble(f"{shown} cannot be used ({reason})", remedy)
    if "FATAL: permission denied for database" in reason:
        remedy = f'let its owner grant "{url.username}" CONNECT to the database "{url.database}"'
        return Trouble(f"{shown} refuses us ({reason})", remedy)
    if is_forbidden(error):
        schema = f'USAGE of the schema "{destination.schema}" and its sequences, and ' if destination.schema else ""
        remedy = f'let their owner grant "{url.username}" {schema}SELECT, INSERT, UPDATE and DELETE of the tables'
        return Trouble(f"{shown} does not let us use the log tables ({reason})", remedy)
    if any(sign in reason for sign in _REFUSALS):
        remedy = f'correct the user, the password or the name of the database in "{key}"'
        return Trouble(f"{shown} refuses us ({reason})", remedy)
    if has_answered(error):
        return Trouble(f"{shown} answers with an error ({reason})", "see what the log of the database server says")
    return Trouble(f"{shown} does not answer ({reason})", f'start it, or correct its address in "{key}"')


def find_reason(error: BaseException) -> str:
    """Give the first line of what the driver said: further lines, and the statement, may repeat personal data."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return " ".join(str(original).strip().partition("\n")[0].split()) or type(original).__name__
