"""Flask-Security with a second factor by email: ``flask --app examples/flask_security_app.py run``.

Sign in at http://127.0.0.1:5000/login as ann@example.org with "correct horse"; the mail with the code is printed,
unless ``FLASK_MAIL_BACKEND=smtp`` and ``FLASK_MAIL_SERVER`` name a server. Ann sees every step at /admin/logs/.
The account bob@example.org is locked, cleo@example.org is not active. All of it is gone when the app ends.
Needs ``pip install "melody-logs[flask-security,flask-mailman]" "flask-security-too[common,mfa]"``.
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask
from flask_mailman import Mail
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user, hash_password
from flask_security.models.fsqla import FsModels
from flask_security.models.fsqla_v3 import FsRoleMixin, FsUserMixin
from flask_sqlalchemy import SQLAlchemy

from melody_logs import MelodyLogs

app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_hex(),
    SQLALCHEMY_DATABASE_URI="sqlite://",
    MAIL_BACKEND="console",
    SECURITY_PASSWORD_SALT=secrets.token_hex(),
    SECURITY_EMAIL_SENDER="host@example.org",
    SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
    SECURITY_RECOVERABLE=True,
    SECURITY_TWO_FACTOR=True,
    SECURITY_TWO_FACTOR_ENABLED_METHODS=["email", "authenticator"],
    SECURITY_TOTP_SECRETS={"1": secrets.token_urlsafe(32)},
    SECURITY_TOTP_ISSUER="Example",
    MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
    MELODY_LOGS_ENABLE_EMAIL_LOG=True,
)
app.config.from_prefixed_env()
db: Any = SQLAlchemy(app)
FsModels.set_db_info(db)


class Role(db.Model, FsRoleMixin):
    """What somebody may do."""


class User(db.Model, FsUserMixin):
    """Who may sign in."""

    is_frozen = db.Column(db.Boolean, default=False)

    def is_locked(self, form_error: list[str] | None = None) -> bool:
        """Refuse a locked account."""
        if self.is_frozen and form_error is not None:
            form_error.append("This account is locked")
        return bool(self.is_frozen)


Mail(app)
security = Security(app, SQLAlchemyUserDatastore(db, User, Role))
logs = MelodyLogs(app, db)  # Flask-Security and Flask-Mailman are found by themselves.
logs.admin_access(lambda: "read" if current_user.is_authenticated else None)

with app.app_context():
    db.create_all()
    password = hash_password("correct horse")
    emails = ["ann@example.org", "bob@example.org", "cleo@example.org"]
    ann, bob, cleo = (security.datastore.create_user(email=email, password=password) for email in emails)
    security.datastore.tf_set(ann, "email", totp_secret=security.totp_factory.generate_totp_secret())
    bob.is_frozen, cleo.active = True, False
    db.session.commit()


@app.get("/")
@auth_required("session")
def home() -> str:
    """Greet who is signed in."""
    return f'You are {current_user.email}: <a href="/admin/logs/">the logs</a>'
