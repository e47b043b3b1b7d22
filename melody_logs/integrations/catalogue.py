"""Every integration that is found by itself, in the order in which they are tried."""

from __future__ import annotations

from .flask_login import FlaskLogin
from .flask_security import FlaskSecurity
from .integration import Integration
from .twilio import Twilio

FOUND_AUTOMATICALLY: tuple[type[Integration], ...] = (FlaskSecurity, FlaskLogin, Twilio)
