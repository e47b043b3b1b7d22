"""What the host may hand in: who may enter, what to change, what to leave out, and which views are sign-ins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from werkzeug.wrappers import Response

from .losses import SparseLog

Fields = dict[str, Any]
#: What ``admin_access`` may answer; a response, such as a redirect to the host's sign-in page, is sent as it is.
Access = str | Iterable[str] | Response | None
#: The mark of an entry that the host's transform was to change and could not.
TRANSFORM_FAILED = "transform:failed"
#: A user id as the host gave it to ``record_*``.
UserId = int | str


def read_user_id(kept: Any) -> Any:
    """Read a user id that was kept as text, as Flask-Login keeps each: what reads as a number was one."""
    return int(kept) if isinstance(kept, str) and re.fullmatch(r"0|[1-9][0-9]{0,17}", kept) else kept


class UserLabel(NamedTuple):
    """What the pages show for a user id: *name* as text, linked to *url* (http, https, or a path of this site)."""

    name: str
    url: str | None = None


UserLabels = Mapping[Any, str | UserLabel | None]


@dataclass(slots=True)
class Seams:
    """The host's functions; each has a default, so that none is needed."""

    admin_access: Callable[[], Access] | None = None
    transform: Callable[[str, Fields], Fields | None] | None = None
    exclude: Callable[[str, Fields], bool] | None = None
    user_label: Callable[[Sequence[UserId]], UserLabels] | None = None
    watched_views: dict[str, Any] = field(default_factory=dict)
    transform_log: SparseLog = field(default_factory=SparseLog)
    exclude_log: SparseLog = field(default_factory=SparseLog)

    def apply_transform(self, kind: str, fields: Fields) -> Fields:
        """Let the host change the fields of an entry before it is cleaned.

        A transform that raises, or returns something else than a dict or None, leaves the entry as it was, marked
        ``transform:failed``.
        """
        if self.transform is None:
            return dict(fields)
        try:
            changed = self.transform(kind, dict(fields))
        except Exception:
            text = f"the transform function raised on a {kind} entry; the entry is kept as it was"
            self.transform_log.warn(text, with_traceback=True)
            return fields | {"marks": TRANSFORM_FAILED}
        if changed is not None and not isinstance(changed, dict):
            self.transform_log.warn(
                f"the transform function returned {type(changed).__name__}; accepted: a dict or None"
            )
            return fields | {"marks": TRANSFORM_FAILED}
        return fields if changed is None else changed

    def excludes(self, kind: str, fields: Fields) -> bool:
        """Ask the host whether to leave an entry out; an exclude that raises keeps the entry."""
        if self.exclude is None:
            return False
        try:
            return bool(self.exclude(kind, dict(fields)))
        except Exception:
            text = f"the exclude function raised on a {kind} entry; the entry is kept"
            self.exclude_log.warn(text, with_traceback=True)
            return False
