"""The tables of the API's clients and of the keys that sign their tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .columns import Base, BigKey


class Client(Base):
    """A program that may call the API; ``scope`` is its scopes separated by spaces."""

    __tablename__ = "melody_client"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    client_id: Mapped[str] = mapped_column(String(48), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class ClientSecret(Base):
    """A client's secret, hashed; two may live at once while a client changes over."""

    __tablename__ = "melody_client_secret"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    client_id: Mapped[str] = mapped_column(String(48), index=True)
    secret_hash: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class SigningKey(Base):
    """A key that signs access tokens; the private part is encrypted (:mod:`melody_logs.clients.keys`)."""

    __tablename__ = "melody_signing_key"

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    public_jwk: Mapped[str] = mapped_column(Text)
    encrypted_private_jwk: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
