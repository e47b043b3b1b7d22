"""The logs: lists, single rows, deletes, and the clean-ups that deletes become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import accumulate
from typing import Any

from flask import Response, request, url_for
from marshmallow import Schema, fields

from ..state import state_of
from ..storage.database import Database
from ..storage.queries import Filters, count_rows, find, page_before, page_by_number
from ..vocabulary import KINDS, MESSAGE_KINDS, Kind
from .bearer import current_caller, require_token
from .blueprints import ApiBlueprint
from .cleanups import CleanupSchema, delete_before, poll_cleanup, refuse_recent
from .parameters import DEFAULT_PAGE_SIZE, LARGEST_PAGE, DeleteQuery, ListQuery, NoQuery
from .problems import NO_STORE, bad_parameter, json_response, not_found
from .rows import ROW_COLUMNS, ROW_SCHEMAS, row_to_json
from .services import services_of

blueprint = ApiBlueprint("melody_logs_api", __name__, description="The email, SMS and sign-in logs.")
blueprint.before_request(require_token)

#: A list without paging ends early, with a cursor, when its rows are larger than this together.
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
#: Ids as we write them; everything else names nothing.
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def _add_routes(kind: Kind) -> None:
    """Add the calls of one log: a rule and a schema of its own for each, as OpenAPI wants them."""
    name = kind.replace("-", "_")
    title = name.title().replace("_", "")
    row_schema = ROW_SCHEMAS[kind]
    one = Schema.from_dict({"log": fields.Nested(row_schema)}, name=f"{title}Answer")
    many = Schema.from_dict(
        {
            "logs": fields.List(fields.Nested(row_schema)),
            "count": fields.Integer(),
            "nextCursor": fields.String(allow_none=True),
        },
        name=f"{title}ListAnswer",
    )

    @blueprint.route(f"/{kind}", methods=["GET"], endpoint=f"list_{name}")
    @blueprint.query(ListQuery)
    @blueprint.answers(200, many)
    def list_rows(query: dict[str, Any]) -> Response:
        """List the log, newest first."""
        return _list_rows(kind, query)

    @blueprint.route(f"/{kind}/<row_id>", methods=["GET"], endpoint=f"find_{name}")
    @blueprint.query(NoQuery)
    @blueprint.answers(200, one)
    def find_row(query: dict[str, Any], row_id: str) -> Response:
        """Read one row by its id."""
        row = find(state_of().database, kind, _read_id(row_id), columns=ROW_COLUMNS[kind])
        if row is None:
            raise not_found()
        return json_response({"log": row_to_json(kind, row)})

    @blueprint.route(f"/{kind}", methods=["DELETE"], endpoint=f"delete_{name}")
    @blueprint.query(DeleteQuery)
    @blueprint.answers(204)
    def delete_rows(query: dict[str, Any]) -> Response:
        """Delete the rows recorded before an instant, for good."""
        return _delete_rows(kind, query)


for _kind in KINDS:
    _add_routes(_kind)


@blueprint.route("/cleanups/<job_id>", methods=["GET"], endpoint="find_cleanup")
@blueprint.query(NoQuery)
@blueprint.answers(200, CleanupSchema)
def find_cleanup(query: dict[str, Any], job_id: str) -> Response:
    """Read how far a clean-up is."""
    try:
        return json_response(poll_cleanup(state_of().database, _read_id(job_id)))
    except LookupError:
        raise not_found() from None


def _list_rows(kind: Kind, query: dict[str, Any]) -> Response:
    database = state_of().database
    if "page_size" not in query and "page_number" not in query:
        return _list_from_cursor(kind, query.get("cursor"))
    if "cursor" in query:
        raise bad_parameter("cursor", "cannot be combined with page_size or page_number")
    page = page_by_number(
        database,
        kind,
        page_number=query.get("page_number", 1),
        page_size=query.get("page_size", DEFAULT_PAGE_SIZE),
        filters=Filters(),
        columns=ROW_COLUMNS[kind],
    )
    return json_response({"logs": [row_to_json(kind, row) for row in page.rows], "count": page.count})


def _list_from_cursor(kind: Kind, cursor: str | None) -> Response:
    cursors, database = services_of().cursors, state_of().database
    before_id = cursors.read(kind, cursor) if cursor else None
    if cursor and before_id is None:
        raise bad_parameter("cursor", "is not a cursor of this list")
    limit = _count_fitting(database, kind, before_id)
    found = page_before(database, kind, before_id=before_id, limit=limit, columns=ROW_COLUMNS[kind])
    following = cursors.make(kind, found.next_before_id) if found.next_before_id is not None else None
    logs = [row_to_json(kind, row) for row in found.rows]
    response = json_response({"logs": logs, "count": count_rows(database, kind), "nextCursor": following})
    if following is not None and request.endpoint is not None:
        # A path without a host: a forged Host header cannot send the client and its token elsewhere.
        response.headers["Link"] = f'<{url_for(request.endpoint, cursor=following)}>; rel="next"'
    return response


def _count_fitting(database: Database, kind: Kind, before_id: int | None) -> int:
    """Count the rows that one answer may have: 500, or fewer where long bodies would make it huge; at least one."""
    if kind not in MESSAGE_KINDS:
        return LARGEST_PAGE
    heads = page_before(database, kind, before_id=before_id, limit=LARGEST_PAGE, columns=("id", "stored_bytes"))
    sums: Iterator[int] = accumulate(row.stored_bytes for row in heads.rows)
    # Without any row: one that is written meanwhile fits.
    return max(1, sum(size <= LARGEST_ANSWER_BYTES for size in sums))


def _delete_rows(kind: Kind, query: dict[str, Any]) -> Response:
    database = state_of().database
    if query["allow_recent"] != "true":
        refuse_recent(database, query["before"])
    job = delete_before(database, kind, query["before"], actor=f"client {current_caller().client_id}")
    if not job.is_active:
        done = Response(status=HTTPStatus.NO_CONTENT, headers=dict(NO_STORE))
        del done.headers["Content-Type"]
        return done
    response = json_response(CleanupSchema().dump(job), HTTPStatus.ACCEPTED)
    response.headers["Location"] = url_for(f"{blueprint.name}.find_cleanup", job_id=job.id)
    return response


def _read_id(text: str) -> int:
    # 0 is no id of any row.
    return int(text) if _ID.fullmatch(text) else 0
