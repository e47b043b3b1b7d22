"""The table of delivery reports that wait for their message."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from .columns import TABLE_OPTIONS, Base, BigKey


class EarlyDelivery(Base):
    """What a provider reported of a message that is not in its table yet: it joins the row when that comes."""

    __tablename__ = "melody_early_delivery"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    provider: Mapped[str] = mapped_column(String(64))
    provider_message_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str | None] = mapped_column(String(1024))
    receiver: Mapped[str | None] = mapped_column(String(320))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]

    __table_args__ = (Index(None, "provider_message_id"), Index(None, "recorded_at"), TABLE_OPTIONS)
