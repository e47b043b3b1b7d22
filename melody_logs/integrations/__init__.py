"""The libraries that Flask apps use: ``from melody_logs.integrations import FlaskLogin``."""

from .integration import Integration

__all__ = ["Integration"]
