"""Two hosts for gunicorn that answer page 1 of the sign-in log: by our API, and by a bare Flask view.

The environment names the database and the folder; the bare one is handed its key, as a service of its own would be.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC
from typing import Any

import psycopg
from flask import Flask, Response, abort, request
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from psycopg.rows import namedtuple_row

from melody_logs import MelodyLogs

PATH = "/api/v1/logs/sign-in"
_NEWEST = """
SELECT id, event_id, recorded_at, updated_at, occurred_at, user_id, user_id_is_integer, request_id, flow_id, ip, event,
  identity, outcome, reason, method, user_agent, country, city, latitude, longitude, continent, region, region_code,
  timezone, asn, as_org, folded_count, last_at, samples
FROM melody_logs.melody_sign_in_log WHERE event = 'sign_in' AND id < %s ORDER BY id DESC LIMIT 10
"""
_COUNT = "SELECT count(*) AS rows FROM melody_logs.melody_sign_in_log WHERE event = 'sign_in'"


def create_ours() -> Flask:
    """Make a host with melody_logs and nothing else."""
    app = Flask("ours", instance_path=os.environ["BENCHMARK_FOLDER"])
    app.config.update(SECRET_KEY="benchmark", MELODY_LOGS_DATABASE_URI=os.environ["BENCHMARK_DATABASE_URL"])
    MelodyLogs(app)
    return app


def create_bare() -> Flask:
    """Make the floor: a signature and its claims checked, one keyset query, the contract's JSON by hand, no count.

    The count is taken once, at the start, so that both answer the same.
    """
    app = Flask("bare")
    key = ECKey.import_key(json.loads(os.environ["BENCHMARK_KEY"]))
    registry = JWSRegistry(algorithms=["ES256"])
    claims = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "melody_logs"},
        aud={"essential": True, "value": "/api/v1/logs"},
        exp={"essential": True},
        scope={"essential": True},
    )
    local = threading.local()

    def connection() -> psycopg.Connection[Any]:
        if not hasattr(local, "connection"):
            local.connection = psycopg.connect(
                os.environ["BENCHMARK_ADDRESS"], autocommit=True, row_factory=namedtuple_row
            )
        opened: psycopg.Connection[Any] = local.connection
        return opened

    counted = connection().execute(_COUNT).fetchall()[0].rows

    @app.get(PATH)
    def page() -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        decoded = jwt.decode(token, key, registry=registry)
        claims.validate(decoded.claims)
        if scheme != "Bearer" or "read_log" not in decoded.claims["scope"].split():
            abort(401)
        before = request.args.get("before", 2**63 - 1, type=int)
        rows = connection().execute(_NEWEST, (before,)).fetchall()
        document = {"logs": [_row(row) for row in rows], "count": counted}
        return Response(json.dumps(document), mimetype="application/json")

    return app


def _row(row: Any) -> dict[str, Any]:
    parts = {
        "longitude": _number(row.longitude), "continent": row.continent or "", "country": row.country or "",
        "timezone": row.timezone or "", "region": row.region or "", "regionCode": row.region_code or "",
        "latitude": _number(row.latitude), "city": row.city or "", "asn": str(row.asn or ""),
        "asOrg": row.as_org or "",
    }  # fmt: skip
    return {
        "id": row.id, "eventId": row.event_id,
        "createdAt": _plain(row.recorded_at), "updatedAt": _plain(row.updated_at),
        "deletedAt": None, "occurredAt": row.occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "userId": int(row.user_id) if row.user_id_is_integer else row.user_id, "requestId": row.request_id,
        "flowId": row.flow_id, "ip": row.ip, "detail": json.dumps(parts), "event": row.event,
        "identity": row.identity, "outcome": row.outcome, "reason": row.reason, "method": row.method,
        "userAgent": row.user_agent, "country": row.country, "city": row.city, "latitude": row.latitude,
        "longitude": row.longitude,
        "foldedCount": row.folded_count, "lastAt": row.last_at and row.last_at.isoformat(),
        "samples": row.samples and json.loads(row.samples),
    }  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


def _plain(moment: Any) -> str:
    text: str = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text
