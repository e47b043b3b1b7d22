"""Attack one host, and say as JSON what was recorded: FOLDER DATABASE_URL FAILURES ADDRESSES SECONDS."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import quantiles

from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.recording.flooding import attack


def main() -> None:
    """Record while the drain thread writes, then drain the rest."""
    folder, url = Path(sys.argv[1]), sys.argv[2]
    app, _ = make_host(url, tmp_path=folder, MELODY_LOGS_WRITER="spool")
    record = state_of(app).recorder.record_sign_in
    with app.app_context():
        done = attack(record, failures=int(sys.argv[3]), addresses=int(sys.argv[4]), seconds=float(sys.argv[5]))
    cuts = quantiles(done.durations, n=1000)
    state = close_host(app)
    state.drain.run_once()
    said = {
        "failures": done.failures.total(),
        "rows": len(done.failures),
        "successes": len(done.successes),
        "median_microseconds": round(cuts[499] * 1e6),
        "p999_microseconds": round(cuts[998] * 1e6),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
