"""Look again, but end at once when a function is called: DATABASE_URL FILE QUALIFIED_NAME NTH_CALL."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from melody_logs.geolocation.locate import Locator
from melody_logs.jobs.locate import locate_pending
from melody_logs.jobs.relocate import set_back
from tests.crashing import crash_at
from tests.storage.rows import open_database


def main() -> None:
    """Set everything back in small windows and locate it, with the trap set."""
    url, path, name, calls = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    database, locator = open_database(url), Locator([path])
    crash_at(name, calls=calls)
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    set_back(database, locator, since=start, until=end, window_rows=20)
    locate_pending(database, locator, budget_seconds=60, batch_rows=50)


if __name__ == "__main__":
    main()
