"""Every integration that is found by itself, in the order in which they are tried."""

from __future__ import annotations

from .authlib import Authlib
from .boto3 import Boto3
from .flask_httpauth import FlaskHTTPAuth
from .flask_jwt_extended import FlaskJWTExtended
from .flask_login import FlaskLogin
from .flask_mail import FlaskMail
from .flask_mailing import FlaskMailing
from .flask_mailman import FlaskMailman
from .flask_security import FlaskSecurity
from .integration import Integration
from .sendgrid import SendGrid
from .smtp import Smtplib
from .twilio import Twilio

FOUND_AUTOMATICALLY: tuple[type[Integration], ...] = (
    FlaskSecurity,
    FlaskLogin,
    Authlib,
    FlaskJWTExtended,
    FlaskHTTPAuth,
    FlaskMail,
    FlaskMailman,
    FlaskMailing,
    Smtplib,
    Boto3,
    SendGrid,
    Twilio,
)
