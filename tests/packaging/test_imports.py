"""What an import loads: a host pays for what it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: What only the worker, a command, a driver's database or an extra needs.
HEAVY = {
    *("celery", "kombu", "redis", "geoip2", "aiohttp", "requests", "httpx"),
    *("psycopg", "psycopg2", "pymysql", "pandas", "numpy", "pyarrow", "boto3", "botocore", "twilio", "sendgrid"),
    *("flask_login", "aiosmtpd", "waitress", "rich", "alembic", "flask_migrate", "prometheus_client"),
}
HOST = (
    "from flask import Flask; from melody_logs import MelodyLogs; app = Flask('host', instance_path='/nowhere');"
    "app.config.update(SECRET_KEY='k', MELODY_LOGS_DATABASE_URI='sqlite:////nowhere/logs.db');"
    "MelodyLogs(app); assert app.test_client().get('/admin/logs/').status_code == 403;"
)


def modules_after(code: str, folder: Path) -> set[str]:
    """Return the names of the top-level modules that are loaded when *code* has run in a process of its own."""
    tell = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + tell], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_of_the_package_loads_no_library_at_all(tmp_path: Path) -> None:
    """The signals, the errors and the worker's name cost nothing; Flask and SQLAlchemy come with ``MelodyLogs``."""
    loaded = modules_after("import melody_logs;", tmp_path) - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith(("_", "sitecustomize"))} == {"melody_logs"}


@pytest.mark.parametrize("code", ["from melody_logs import MelodyLogs;", HOST], ids=["extension", "host that answers"])
def test_web_process_loads_no_heavy_library(code: str, tmp_path: Path) -> None:
    assert modules_after(code, tmp_path) & HEAVY == set()


def test_package_and_the_test_kit_work_without_pytest(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pytest'] = None; import melody_logs; import melody_logs.testing.entries;"
    assert "melody_logs" in modules_after(code, tmp_path)
