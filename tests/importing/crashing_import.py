"""Import, but end at once when a function is called: DATABASE_URL SOURCE_URL QUALIFIED_NAME NTH_CALL."""

from __future__ import annotations

import sys

from melody_logs.jobs.import_melody import plan_import, run_import
from melody_logs.recording.imported import text_limits
from melody_logs.recording.seams import Seams
from melody_logs.settings import Settings
from melody_logs.storage.melody_auth import MelodyAuthDatabase
from tests.crashing import crash_at
from tests.storage.rows import make_database


def main() -> None:
    """Import the sign-ins with the trap set."""
    url, source_url, name, calls = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    database = make_database(url)
    settings = Settings()
    source = MelodyAuthDatabase(source_url, text_limits=text_limits(settings))
    source.check(["sign-in"])

    crash_at(name, calls=calls)
    run_import(database, source, plan_import(database, source, "sign-in"), settings, Seams())


if __name__ == "__main__":
    main()
