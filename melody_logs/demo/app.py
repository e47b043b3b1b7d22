"""The demo host's factory: what a small real app with melody_logs looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, redirect, url_for
from flask_login import LoginManager
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from . import auth, pages, passwords
from .accounts import db, load_user
from .configuration import data_dir_of_environment, load_configuration
from .recording import logs


def create_app(data_dir: Path | None = None) -> Flask:
    """Make the demo host of the demo in *data_dir*, else in the folder that the environment names.

    :raise ConfigurationError: if no demo was started there yet.
    """
    data_dir = data_dir or data_dir_of_environment()
    configuration = load_configuration(data_dir)
    app = Flask(__name__, instance_path=str(data_dir))
    app.config.from_mapping(
        SECRET_KEY=configuration.secret_key,
        SQLALCHEMY_DATABASE_URI=configuration.database_url,
        SESSION_COOKIE_NAME="melody_demo",
        SESSION_COOKIE_SAMESITE="Lax",
        # The mailed links repeat the request's host name: only our own may be believed.
        TRUSTED_HOSTS=["127.0.0.1", "localhost"],
        MELODY_LOGS_ENABLE_EMAIL_LOG=True,
        MELODY_LOGS_ENABLE_SMS_LOG=True,
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        MELODY_LOGS_ADMIN_PREFIX="/admin/logs",
        # Who has signed in goes straight to the log to see it.
        MELODY_LOGS_DRAIN_INTERVAL_SECONDS=0.25,
        MELODY_LOGS_RETENTION=[{"kind": kind, "days": 365} for kind in ("email", "sms", "sign-in")],
    )
    app.extensions["melody_demo"] = configuration
    # The traffic pretends to come through one proxy, which names the visitor's address.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    db.init_app(app)
    _init_sign_in(app)
    logs.init_app(app, db)
    for module in (auth, pages, passwords):
        app.register_blueprint(module.blueprint)
    return app


def _init_sign_in(app: Flask) -> None:
    manager: Any = LoginManager(app)
    manager.user_loader(load_user)

    manager.unauthorized_handler(_ask_to_sign_in)


def _ask_to_sign_in() -> Response:
    return redirect(url_for("auth.sign_in"), 303)
