"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskLogin``."""

from .flask_login import FlaskLogin
from .flask_security import FlaskSecurity
from .http_sms import HttpAnswer, HttpRequest, HttpSms
from .integration import Integration
from .twilio import Twilio

__all__ = ["FlaskLogin", "FlaskSecurity", "HttpAnswer", "HttpRequest", "HttpSms", "Integration", "Twilio"]
