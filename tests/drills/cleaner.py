"""A process that works on one clean-up until it is done or killed: ``python -m tests.drills.cleaner URL JOB``."""

from __future__ import annotations

import sys

from melody_logs.jobs.clean import work_on_job
from tests.storage.rows import open_database

if __name__ == "__main__":
    job = work_on_job(open_database(sys.argv[1]), int(sys.argv[2]), budget_seconds=600)
    print(job.state)
