"""A host app in one file, as docker-compose.yml runs it: a sign-in view and an admin, set up by the environment."""

from __future__ import annotations

import hmac
import os

from flask import Flask, redirect, render_template_string, session, url_for
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response
from wtforms import EmailField, PasswordField
from wtforms.validators import InputRequired

from melody_logs import MelodyLogs

PAGE = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Example host</title></head>
  <body>
    <h1>Example host</h1>
    {% if name %}<p>You are signed in as {{ name }}: <a href="/admin/logs/">the logs</a></p>{% endif %}
    <form method="post" action="{{ url_for('sign_in') }}">
      {{ form.hidden_tag() }}
      <p>{{ form.email.label }} {{ form.email(autocomplete="username") }}</p>
      <p>{{ form.password.label }} {{ form.password(autocomplete="current-password") }}</p>
      <button>Sign in</button>
    </form>
  </body>
</html>
"""

db = SQLAlchemy()
logs = MelodyLogs()
logs.watch_sign_in("sign_in", identity="email")


class SignInForm(FlaskForm):
    """Email address and password."""

    email = EmailField("Email", [InputRequired()])
    password = PasswordField("Password", [InputRequired()])


@logs.admin_access
def who_may_enter() -> str | None:
    """Let whoever is signed in see and clean the logs: there is only the admin."""
    return "write" if "user_id" in session else None


def create_app() -> Flask:
    """Make the app; ``FLASK_SECRET_KEY``, ``FLASK_MELODY_LOGS_...`` and so on become its configuration."""
    app = Flask(__name__)
    app.config.from_prefixed_env()
    # One proxy stands in front of the web containers.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    db.init_app(app)
    app.add_url_rule("/", "start", start)
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    logs.init_app(app, db)
    return app


def start() -> str:
    """Show the form."""
    return render_template_string(PAGE, form=SignInForm(), name=session.get("user_id"))


def sign_in() -> Response | tuple[str, int]:
    """Sign the admin in."""
    form = SignInForm()
    if form.validate_on_submit():
        typed = f"{form.email.data} {form.password.data}".encode()
        if hmac.compare_digest(typed, f"{os.environ['ADMIN_EMAIL']} {os.environ['ADMIN_PASSWORD']}".encode()):
            session["user_id"] = form.email.data
            return redirect(url_for("start"), 303)
    return render_template_string(PAGE, form=form, name=None), 401
