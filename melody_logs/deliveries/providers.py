"""The providers whose reports an app takes."""

from __future__ import annotations

from collections.abc import Iterator

from ..settings import Settings
from .callback import Provider
from .mailgun import Mailgun
from .postmark import Postmark
from .sendgrid import SendGrid
from .ses import Ses
from .twilio import Twilio


def make_providers(settings: Settings) -> Iterator[Provider]:
    """Make the provider of each key that is set."""
    if settings.twilio_auth_token:
        yield Twilio(settings.twilio_auth_token)
    if settings.ses_topic_arn:
        yield Ses(settings.ses_topic_arn)
    if settings.sendgrid_public_key:
        yield SendGrid(settings.sendgrid_public_key)
    if settings.postmark_credentials:
        yield Postmark(settings.postmark_credentials)
    if settings.mailgun_signing_key:
        yield Mailgun(settings.mailgun_signing_key)
