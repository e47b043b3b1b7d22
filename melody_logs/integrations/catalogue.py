"""Every integration that is found by itself, in the order in which they are tried."""

from __future__ import annotations

from .authlib import Authlib
from .flask_httpauth import FlaskHTTPAuth
from .flask_jwt_extended import FlaskJWTExtended
from .flask_login import FlaskLogin
from .flask_security import FlaskSecurity
from .integration import Integration

FOUND_AUTOMATICALLY: tuple[type[Integration], ...] = (
    FlaskSecurity,
    FlaskLogin,
    Authlib,
    FlaskJWTExtended,
    FlaskHTTPAuth,
)
