"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskLogin``."""

from .authlib import Authlib
from .boto3 import Boto3
from .flask_httpauth import FlaskHTTPAuth
from .flask_jwt_extended import FlaskJWTExtended
from .flask_login import FlaskLogin
from .flask_mail import FlaskMail
from .flask_mailing import FlaskMailing
from .flask_mailman import FlaskMailman
from .flask_security import FlaskSecurity
from .http_sms import HttpAnswer, HttpRequest, HttpSms
from .integration import Integration
from .sendgrid import SendGrid
from .smtp import Smtplib
from .twilio import Twilio

__all__ = [
    "Authlib",
    "Boto3",
    "FlaskHTTPAuth",
    "FlaskJWTExtended",
    "FlaskLogin",
    "FlaskMail",
    "FlaskMailing",
    "FlaskMailman",
    "FlaskSecurity",
    "HttpAnswer",
    "HttpRequest",
    "HttpSms",
    "Integration",
    "SendGrid",
    "Smtplib",
    "Twilio",
]
