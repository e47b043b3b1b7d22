"""The lines a host adds for melody_logs."""

from __future__ import annotations

from flask_login import current_user

from .. import MelodyLogs

logs = MelodyLogs()


@logs.admin_access
def who_may_enter() -> str | None:
    """Let the demo's admin see and clean the logs, and nobody else."""
    return "write" if current_user.is_authenticated and current_user.is_admin else None


logs.watch_sign_in("auth.sign_in", identity="email")
