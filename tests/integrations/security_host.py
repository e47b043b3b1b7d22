"""A host with Flask-Security-Too, every feature of it that a test asks for, and two accounts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask
from flask_security import (
    MailUtil,
    Security,
    SmsSenderBaseClass,
    SmsSenderFactory,
    SQLAlchemyUserDatastore,
    hash_password,
)
from flask_security.models.fsqla import FsModels
from flask_security.models.fsqla_v4 import FsRefreshTrackerMixin, FsRoleMixin, FsUserMixin
from flask_sqlalchemy import SQLAlchemy

from melody_logs import MelodyLogs
from melody_logs.recording.outgoing import outgoing
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all

ANN = "ann@example.org"
PASSWORD = "right password"
NUMBER = "+16502530000"


class Outbox(MailUtil):
    """A host's own way to send mail: it keeps the messages, or is down. Its adapter asks what is known of them."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.messages: list[str] = []
        self.is_down = False

    def send_mail(self, template: str, subject: str, recipient: Any, *given: Any, **context: Any) -> None:
        """Keep the text of the message."""
        _, body, html = given
        fields = {"receiver": recipient, "subject": subject, "content": html or body}
        with outgoing(state_of().recorder, "email", fields):
            if self.is_down:
                raise ConnectionRefusedError("the mail server is down")
            self.messages.append(html or body)


class TextSender(SmsSenderBaseClass):
    """A provider of text messages."""

    messages: ClassVar[list[str]] = []
    is_down = False

    def send_sms(self, from_number: str, to_number: str, msg: str) -> None:
        """Keep the text."""
        if type(self).is_down:
            raise ConnectionRefusedError("the provider is down")
        self.messages.append(msg)


SmsSenderFactory.senders["Test"] = TextSender


class SecurityHost:
    """The app, its logs and what it has sent."""

    def __init__(self, features: dict[str, Any], logs: MelodyLogs | None = None, **config: Any) -> None:
        TextSender.messages, TextSender.is_down = [], False
        self.app, self.logs = make_host(
            logs=logs,
            SQLALCHEMY_DATABASE_URI="sqlite://",
            SECURITY_PASSWORD_SALT="salt",
            SECURITY_PASSWORD_HASH="pbkdf2_sha512",
            SECURITY_PASSWORD_SCHEMES=["pbkdf2_sha512"],
            SECURITY_PASSWORD_SINGLE_HASH=True,
            SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
            SECURITY_EMAIL_SENDER="host@example.org",
            SECURITY_TOTP_SECRETS={"1": "TjQ9Qa31VOrfEzuPy4VHQWPCTmRzCnFzMKLxXYiZu9B"},
            SECURITY_TOTP_ISSUER="host",
            SECURITY_SMS_SERVICE="Test",
            SECURITY_SMS_SERVICE_CONFIG={"PHONE_NUMBER": "+16470000000"},
            WTF_CSRF_ENABLED=False,
            **{f"SECURITY_{name}": value for name, value in features.items()},
            **config,
        )
        self.db: Any = SQLAlchemy(self.app)
        self.store = _make_store(self.db)
        self.security = Security(mail_util_cls=Outbox)
        self.security.init_app(self.app, self.store)
        self.client = self.app.test_client()
        with self.app.app_context():
            self.db.create_all()
            self.store.create_user(email=ANN, password=hash_password(PASSWORD), username="ann")
            self.store.create_user(email="idle@example.org", password=hash_password(PASSWORD), active=False)
            self.db.session.commit()

    @property
    def outbox(self) -> Any:
        """What the app has mailed."""
        return self.security.mail_util

    def update_ann(self, **values: Any) -> None:
        """Change Ann's account."""
        with self.app.app_context():
            user = self.store.find_user(email=ANN)
            for name, value in values.items():
                setattr(user, name, value)
            self.db.session.commit()

    def set_up_second_factor(self, method: str) -> None:
        """Let Ann's sign-in ask for a code, by ``sms``, ``email`` or ``authenticator``."""
        with self.app.app_context():
            secret = self.security.totp_factory.generate_totp_secret()
            self.store.tf_set(self.store.find_user(email=ANN), method, totp_secret=secret, phone=NUMBER)
            self.db.session.commit()

    def make_code(self) -> str:
        """Make the code of Ann's authenticator."""
        with self.app.app_context():
            user = self.store.find_user(email=ANN)
            code: str = self.security.totp_factory.generate_totp_password(user.tf_totp_secret)
            return code

    def sign_in(self, password: str = PASSWORD, email: str = ANN, **more: Any) -> Any:
        """Send the login form."""
        return self.client.post("/login", data={"email": email, "password": password, **more})

    def read_code(self) -> str:
        """Read the code in the newest text message, else in the newest email."""
        (code,) = re.findall(r"\b\d{6}\b", (TextSender.messages or self.outbox.messages)[-1])
        return str(code)

    def read_link(self, path: str, mail: str | None = None) -> str:
        """Read the address below *path* in an email, by default the newest."""
        (link,) = set(re.findall(rf"http://localhost({path}[^\s\"<]+)", mail or self.outbox.messages[-1]))
        return str(link).replace("&amp;", "&")

    def rows(self, kind: Any = "sign-in") -> list[Any]:
        """Read the log."""
        return read_all(state_of(self.app).database, kind)

    def told(self) -> list[tuple[Any, ...]]:
        """Read what the sign-in log tells of each attempt."""
        return [(row.event, row.outcome, row.reason, row.method, row.identity, row.user_id) for row in self.rows()]

    def close(self) -> None:
        """End the app."""
        with self.app.app_context():
            self.db.session.remove()
            self.db.engine.dispose()
        close_host(self.app)


MakeSecured = Callable[..., SecurityHost]


def _make_store(db: Any) -> Any:
    FsModels.set_db_info(db)  # type: ignore[no-untyped-call]
    role = type("Role", (db.Model, FsRoleMixin), {})
    user = type("User", (db.Model, FsUserMixin), {})
    tracker = type("FsRefreshTracker", (db.Model, FsRefreshTrackerMixin), {"__tablename__": "fs_refresh"})
    return SQLAlchemyUserDatastore(db, user, role, refresh_tracker_model=tracker)
