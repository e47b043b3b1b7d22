"""The tables of totals: counts without counting."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from .columns import Base


class Total(Base):
    """Rows and bytes that are there now, by kind, event (empty for messages) and outcome or status."""

    __tablename__ = "melody_total"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    event: Mapped[str] = mapped_column(String(32), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    rows: Mapped[int] = mapped_column("row_count", BigInteger)
    bytes: Mapped[int] = mapped_column("byte_count", BigInteger)


class HourlyTotal(Base):
    """Rows and bytes by kind, UTC hour of ``recorded_at``, event (empty for messages) and outcome or status."""

    __tablename__ = "melody_hourly_total"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(String(32), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    rows: Mapped[int] = mapped_column("row_count", BigInteger)
    bytes: Mapped[int] = mapped_column("byte_count", BigInteger)


class CountryTotal(Base):
    """Sign-ins by UTC day of ``recorded_at``, country (``ZZ``: not known), event and outcome."""

    __tablename__ = "melody_country_total"

    day: Mapped[datetime] = mapped_column(primary_key=True)
    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    event: Mapped[str] = mapped_column(String(32), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    rows: Mapped[int] = mapped_column("row_count", BigInteger)
