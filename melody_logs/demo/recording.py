"""The lines a host adds for melody_logs."""

from __future__ import annotations

from flask import redirect, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from .. import MelodyLogs
from .accounts import name_users

logs = MelodyLogs()


@logs.admin_access
def who_may_enter() -> str | Response | None:
    """Let the demo's admin see and clean the logs, ask strangers to sign in, and let nobody else in."""
    if not current_user.is_authenticated:
        return redirect(url_for("auth.sign_in"), code=303)
    return "write" if current_user.is_admin else None


logs.watch_sign_in("auth.sign_in", identity="email")
logs.user_label(name_users)
