"""Finding the locations of sign-ins, batch by batch."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence

from ..errors import GeolocationUnavailableError
from ..geolocation.locate import Locator
from ..storage.database import Database
from ..storage.location_choice import LocationResult
from ..storage.location_results import write_locations
from ..storage.locations import Claim, claim_pending, forget_old_claims, release_claims

logger = logging.getLogger("melody_logs")

BATCH_ROWS = 500


def locate_pending(database: Database, locator: Locator, *, budget_seconds: float, batch_rows: int = BATCH_ROWS) -> int:
    """Find the location of waiting sign-ins for at most *budget_seconds*; return how many rows were settled.

    An address is looked up outside any transaction; the result is written only if the row is still ours.

    :raise GeolocationUnavailableError: if a location database cannot be read; what could be found is written, the other
        rows wait and no attempt of theirs is counted.
    """
    end = time.monotonic() + budget_seconds
    settled = 0
    forget_old_claims(database)
    while True:
        owner = str(uuid.uuid4())
        claims = claim_pending(database, limit=batch_rows, owner=owner)
        if not claims:
            return settled
        results, unavailable = _look_up(locator, claims)
        if results:
            settled += write_locations(database, owner, results)
        if unavailable is not None:
            release_claims(database, owner)
            raise unavailable
        if time.monotonic() >= end:
            return settled


def _look_up(
    locator: Locator, claims: Sequence[Claim]
) -> tuple[dict[int, LocationResult], GeolocationUnavailableError | None]:
    """Look up what can be; a row whose address breaks the look-up stays claimed, and its attempt counts."""
    results = {}
    unavailable = None
    for claim in claims:
        try:
            lookup = locator.locate(claim.ip)
        except GeolocationUnavailableError as error:
            unavailable = error
        except Exception:
            logger.exception("the location of sign-in %s could not be looked up; it is tried again later", claim.id)
        else:
            columns = lookup.location.columns() if lookup.location else {}
            results[claim.id] = LocationResult(lookup.state, columns, lookup.source, claim.before)
    return results, unavailable
