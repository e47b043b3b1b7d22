"""Names and links for user ids, from the host's ``user_label``: asked once a page, and believed nothing but text."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..jobs.clean import JobRow
from ..recording.seams import UserId, read_user_id
from ..state import state_of
from ..troubles import Troubles
from .visible_text import cut_end, reveal

#: A function that takes longer is left alone for the pause, so that pages stay quick while a directory is down.
SLOW_SECONDS = 2.0
PAUSE_SECONDS = 60.0
LONGEST_NAME = 255
LONGEST_URL = 2_048
LONGEST_REASON = 200

_TROUBLE = "User labels"
_ACCEPTED = "a dict from user id to text, or to UserLabel(name, url)"
_REMEDY = f"it gets the list of the user ids of a page and returns {_ACCEPTED}; pages show plain ids meanwhile"
_ACTOR = re.compile(r"user (.+)", re.S)
#: Browsers drop tabs and line ends inside an address and read a backslash as a slash.
_NEVER_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Whom a user id means: *name* is made visible, *url* is empty or safe to link to."""

    id: str
    name: str
    url: str = ""

    @property
    def whole(self) -> str:
        """The name with the id behind it."""
        return f"{self.name} (user {self.id})"


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Whom the user ids of a page mean; *is_asked* says whether the host has given a function for it."""

    by_id: Mapping[str, Person]
    is_asked: bool

    def find(self, user_id: UserId | None) -> Person | None:
        """Find who *user_id* is; None where the host did not say."""
        return None if user_id is None else self.by_id.get(str(user_id))


def find_people(user_ids: Iterable[UserId | None]) -> People:
    """Ask the host who these are, all at once; ids that it does not know, or that it failed for, stay ids."""
    state = state_of()
    user_label = state.seams.user_label
    if user_label is None:
        return People({}, is_asked=False)
    asked = _distinct(user_ids)
    troubles = state.troubles
    if not asked or troubles.is_paused(_TROUBLE):
        return People({}, is_asked=True)
    started = time.monotonic()
    try:
        by_id, complaint = _read(user_label(list(asked.values())), asked)
    except Exception as error:
        by_id, complaint = {}, ""
        # Drivers of databases go on with the statement in further lines.
        said = str(error).strip().partition("\n")[0]
        reason = cut_end(f"{type(error).__name__}: {said}", LONGEST_REASON)
        troubles.note(_TROUBLE, f"user_label failed: {reason}", _REMEDY, error)
    else:
        if complaint:
            troubles.note(_TROUBLE, complaint, _REMEDY)
        else:
            troubles.settle(_TROUBLE)
    _watch_time(troubles, time.monotonic() - started)
    return People(by_id, is_asked=True)


def user_id_of(row: Any) -> UserId | None:
    """Give the user id of a row as the host gave it: an integer is one again."""
    return int(row.user_id) if row.user_id and row.user_id_is_integer else row.user_id


def actor_id_of(job: JobRow) -> UserId | None:
    """Give the user id of whoever ordered a clean-up in the pages; None for a program."""
    found = _ACTOR.fullmatch(job.actor)
    actor: UserId | None = read_user_id(found[1]) if found else None
    return actor


def _distinct(user_ids: Iterable[UserId | None]) -> dict[str, UserId]:
    """Take each id once, by its text: 42 and "42" are one user, asked for as the number."""
    distinct: dict[str, UserId] = {}
    for user_id in user_ids:
        if user_id not in (None, "") and (isinstance(user_id, int) or str(user_id) not in distinct):
            distinct[str(user_id)] = user_id
    return distinct


def _watch_time(troubles: Troubles, seconds: float) -> None:
    if seconds < SLOW_SECONDS:
        return
    troubles.pause(_TROUBLE, PAUSE_SECONDS)
    text = f"user_label took {seconds:.1f} s, so pages show plain ids for {PAUSE_SECONDS:.0f} s"
    troubles.note(_TROUBLE, text, "let it read all names in one query, and wait for no other server")


def _read(returned: Any, asked: Mapping[str, UserId]) -> tuple[dict[str, Person], str]:
    """Read what the host returned; the second value is what was wrong with some of it."""
    if not isinstance(returned, Mapping):
        raise TypeError(f"it returned {type(returned).__name__}; accepted: {_ACCEPTED}")
    # By text, so that a host may key them by integers, text or UUIDs.
    labels = {str(key): label for key, label in returned.items()}
    people, complaint = {}, ""
    for user_id in asked:
        label = labels.get(user_id)
        if label is None or label == "":
            continue
        name, url = label if isinstance(label, tuple) and len(label) == 2 else (label, None)
        if not isinstance(name, str):
            complaint = f"user_label gave {type(label).__name__} for the user {reveal(user_id)}; accepted: {_ACCEPTED}"
            continue
        link = _read_url(url)
        if url and not link:
            complaint = f"user_label gave the user {reveal(user_id)} an address that is neither http(s) nor a path"
        if name.strip():
            people[user_id] = Person(
                reveal(user_id), cut_end(reveal(str.__str__(name)[:LONGEST_NAME]).strip(), LONGEST_NAME), link
            )
    return people, complaint


def _read_url(url: Any) -> str:
    """Accept an http or https address, or a path of this site; else give nothing."""
    if not isinstance(url, str):
        return ""
    # Bare text: Markup, and whatever else says itself that it is safe, would be written as it is.
    url = str.__str__(url)
    if not url or len(url) > LONGEST_URL or _NEVER_IN_URL.search(url):
        return ""
    if url.startswith("/"):
        return "" if url.startswith("//") else url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""
