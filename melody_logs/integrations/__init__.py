"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskLogin``."""

from .flask_login import FlaskLogin
from .flask_security import FlaskSecurity
from .integration import Integration

__all__ = ["FlaskLogin", "FlaskSecurity", "Integration"]
