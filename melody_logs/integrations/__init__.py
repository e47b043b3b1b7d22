"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskLogin``."""

from .authlib import Authlib
from .flask_httpauth import FlaskHTTPAuth
from .flask_jwt_extended import FlaskJWTExtended
from .flask_login import FlaskLogin
from .flask_security import FlaskSecurity
from .integration import Integration

__all__ = ["Authlib", "FlaskHTTPAuth", "FlaskJWTExtended", "FlaskLogin", "FlaskSecurity", "Integration"]
