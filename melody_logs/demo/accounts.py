"""The accounts of the demo host, in a database of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from .configuration import ADMIN_EMAIL, DemoConfiguration

#: Weaker than werkzeug's default: the background traffic signs in every second or two on a small machine.
PASSWORD_METHOD = "scrypt:8192:8:1"
PEOPLE = ("ann", "ben", "chloe", "dmitri", "esra", "felix", "grace", "hiro", "ines", "jonas", "kofi", "lucia")
#: People whose account asks for a code by text message after the password.
TEXT_STEP_PEOPLE = {"chloe": "+16475550143", "hiro": "+81312345678", "lucia": "+5511987654321"}


class Base(DeclarativeBase):
    """Base of the demo host's models."""


db = SQLAlchemy(model_class=Base)


class User(UserMixin, db.Model):  # type: ignore[misc, name-defined]  # Flask-Login has no types, db.Model is a value
    """Somebody who may sign in."""

    __tablename__ = "demo_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    phone: Mapped[str | None] = mapped_column(String(32))
    wants_text_step: Mapped[bool] = mapped_column(default=False)
    is_admin: Mapped[bool] = mapped_column(default=False)
    code_hash: Mapped[str | None] = mapped_column(String(64))
    code_expires_at: Mapped[float] = mapped_column(default=0.0)
    code_attempts: Mapped[int] = mapped_column(default=0)

    def set_password(self, password: str) -> None:
        """Keep a hash of *password*."""
        self.password_hash = generate_password_hash(password, method=PASSWORD_METHOD)

    def has_password(self, password: str) -> bool:
        """Say whether *password* is right."""
        return check_password_hash(self.password_hash, password)


def find_user(email: str) -> User | None:
    """Find the account of an email address, in any case."""
    user: Any = db.session.scalar(db.select(User).where(User.email == email.strip().lower()))
    return user if isinstance(user, User) else None


def load_user(user_id: str) -> User | None:
    """Find the account of a session."""
    return db.session.get(User, int(user_id)) if user_id.isdecimal() else None


def name_users(user_ids: Sequence[int | str]) -> dict[int, str]:
    """Name the accounts of these ids, by one query."""
    known = [int(user_id) for user_id in user_ids if str(user_id).isdecimal()]
    accounts = db.session.scalars(db.select(User).where(User.id.in_(known)))
    return {account.id: account.email.partition("@")[0].capitalize() for account in accounts}


def add_first_accounts(configuration: DemoConfiguration) -> None:
    """Make the accounts that are not there yet: the admin, and people for visitors and for the traffic."""
    db.create_all()
    accounts = [User(email=ADMIN_EMAIL, is_admin=True, phone="+442079460123")]
    # Its mailbox is full, so its mail fails.
    accounts.append(User(email="full@example.org"))
    accounts += [
        User(email=f"{name}@example.org", phone=TEXT_STEP_PEOPLE.get(name), wants_text_step=name in TEXT_STEP_PEOPLE)
        for name in PEOPLE
    ]
    for account in accounts:
        if find_user(account.email) is None:
            account.set_password(configuration.admin_password if account.is_admin else configuration.people_password)
            db.session.add(account)
    db.session.commit()
