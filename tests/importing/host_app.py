"""A host for the command in a process of its own: ``flask --app tests.importing.host_app melody-logs ...``."""

from __future__ import annotations

import os

from flask import Flask

from melody_logs import MelodyLogs

app = Flask("host", instance_path=os.environ["HOST_FOLDER"])
app.config.update(SECRET_KEY="test", MELODY_LOGS_DATABASE_URI=os.environ["HOST_DATABASE_URL"])
logs = MelodyLogs(app)
