"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskMail``."""

from .boto3 import Boto3
from .flask_mail import FlaskMail
from .flask_mailing import FlaskMailing
from .flask_mailman import FlaskMailman
from .integration import Integration
from .sendgrid import SendGrid
from .smtp import Smtplib

__all__ = ["Boto3", "FlaskMail", "FlaskMailing", "FlaskMailman", "Integration", "SendGrid", "Smtplib"]
