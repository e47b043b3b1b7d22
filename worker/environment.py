"""What the worker and beat processes are told by their environment.

``MELODY_WORKER_APP``
    The host's Flask app or factory, as ``flask --app`` takes it: ``package.module:create_app``. Empty: ``FLASK_APP``.
``MELODY_WORKER_BROKER_URL``
    The broker, such as ``redis://127.0.0.1:6379/0``. Empty: ``CELERY_BROKER_URL``, and without either ``filesystem://``.
``MELODY_WORKER_DATA_DIR``
    Folder of the embedded broker ``filesystem://``. Empty: ``<instance>/melody_logs/worker``.
``MELODY_WORKER_LIFELINE``
    Number of an open pipe: the process ends when the other end closes. Empty: it does not watch.

The names do not begin with ``MELODY_LOGS_``: hosts copy every variable of that prefix into their configuration, where a
key that is no setting is refused.
"""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from melody_logs.errors import ConfigurationError

EMBEDDED_BROKER_URL = "filesystem://"


def load_host() -> Flask:
    """Load the host's Flask app as the ``flask`` command would.

    :raise ConfigurationError: if none is named, or the named one cannot be loaded.
    """
    name = os.environ.get("MELODY_WORKER_APP") or os.environ.get("FLASK_APP")
    if not name:
        raise ConfigurationError(
            '"MELODY_WORKER_APP" is not set; accepted: your Flask app or its factory, '
            'such as "package.module:create_app"'
        )
    try:
        return ScriptInfo(app_import_path=name, set_debug_flag=False).load_app()
    except NoAppException as error:
        raise ConfigurationError(
            f'"MELODY_WORKER_APP" is "{name}", which gives no Flask app ({error.format_message()}); '
            'accepted: your app or its factory, such as "package.module:create_app"'
        ) from error


def broker_url() -> str:
    """The address of the broker; without a named one the embedded broker's."""
    return os.environ.get("MELODY_WORKER_BROKER_URL") or os.environ.get("CELERY_BROKER_URL") or EMBEDDED_BROKER_URL


def data_folder(host: Flask) -> Path:
    """The folder of the embedded broker."""
    named = os.environ.get("MELODY_WORKER_DATA_DIR")
    return Path(named).resolve() if named else Path(host.instance_path) / "melody_logs" / "worker"


def lifeline_descriptor() -> int | None:
    """The file descriptor of the pipe to watch, or None.

    :raise ConfigurationError: if the variable is not a number.
    """
    text = os.environ.get("MELODY_WORKER_LIFELINE")
    if not text:
        return None
    if not text.isdecimal():
        raise ConfigurationError(f'"MELODY_WORKER_LIFELINE" is "{text}"; accepted: the number of an open pipe')
    return int(text)
