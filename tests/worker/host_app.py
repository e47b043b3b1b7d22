"""A host with its logs where the environment says, for the worker processes of the tests."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery, Task
from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.tasks import beat_schedule


def create_app() -> Flask:
    """Make the host; its spool is the one that the test writes to."""
    folder = Path(os.environ["TEST_HOST_FOLDER"])
    app = Flask("host", instance_path=str(folder))
    app.config.update(
        SECRET_KEY="test",
        MELODY_LOGS_DATABASE_URI=os.environ["TEST_HOST_DATABASE_URL"],
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        MELODY_LOGS_ENABLE_EMAIL_LOG=True,
        MELODY_LOGS_DRAIN_IN_PROCESS=False,
        MELODY_LOGS_GEOIP_DATABASE=os.environ.get("TEST_HOST_LOCATION_FILE") or (),
        MELODY_LOGS_RETENTION=[{"kind": "sign-in", "days": 30}],
    )
    MelodyLogs(app)
    return app


def create_celery() -> Celery:
    """Make a Celery app of the host's own, as Flask's documentation shows it."""
    app = create_app()

    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.name, task_cls=FlaskTask)
    celery.conf.update(
        broker_url=os.environ["TEST_HOST_BROKER_URL"],
        task_ignore_result=True,
        broker_connection_retry_on_startup=True,
        # Where the tests may write.
        beat_schedule_filename=os.environ["TEST_HOST_FOLDER"] + "/schedule",
    )
    celery.set_default()
    celery.autodiscover_tasks(["melody_logs"])
    celery.conf.beat_schedule.update(beat_schedule(app))
    return celery
