"""Flask-Login with a sign-in log: ``flask --app examples/flask_login_app.py run``, then http://127.0.0.1:5000/.

ann@example.org signs in with "correct horse" and sees the log at /admin/logs/; the account bob@example.org is locked.
Needs ``pip install "melody-logs[flask-login]"``. The logs are gone when the app ends.
"""

from __future__ import annotations

import secrets

from flask import Flask, g, redirect, render_template_string, request, url_for
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskLogin

PAGE = """<!doctype html><html lang="en"><title>Flask-Login</title><form method="post">{{ form.csrf_token }}
{% if not current_user.is_authenticated %}<label>Email <input type="email" name="email"></label>
<label>Password <input type="password" name="password"></label> <button>Sign in</button> {{ problem }}
{% else %}{{ current_user.id }}: <a href="/admin/logs/">the logs</a> <button>Sign out</button>{% endif %}</form>"""

app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_hex(), SQLALCHEMY_DATABASE_URI="sqlite://", MELODY_LOGS_ENABLE_SIGN_IN_LOG=True
)

# Flask-Login is found by itself; it is named here only to say why an attempt failed.
logs = MelodyLogs(app)
logs.use(FlaskLogin(reason=lambda response: g.get("sign_in_failure")))
logs.admin_access(lambda: "read" if current_user.is_authenticated else None)

login_manager = LoginManager(app)
login_manager.login_view = "sign_in"


class Account(UserMixin):
    """Who may sign in."""

    def __init__(self, email: str, *, is_locked: bool = False) -> None:
        self.id = self.email = email
        self.is_locked = is_locked
        self.password_hash = generate_password_hash("correct horse")


ACCOUNTS = {account.id: account for account in (Account("ann@example.org"), Account("bob@example.org", is_locked=True))}
login_manager.user_loader(ACCOUNTS.get)


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> str | Response:
    """Sign somebody in; the visitor is not told why it failed."""
    form = FlaskForm()
    if form.validate_on_submit():
        account = ACCOUNTS.get(request.form["email"])
        if account is None:
            g.sign_in_failure = "unknown_account"
        elif not check_password_hash(account.password_hash, request.form["password"]):
            g.sign_in_failure = "wrong_password"
        elif account.is_locked:
            g.sign_in_failure = "locked_account"
        elif login_user(account):
            return redirect(url_for("home"))
    return render_template_string(PAGE, form=form, problem="Please try again" if form.is_submitted() else "")


@app.route("/", methods=["GET", "POST"])
@login_required
def home() -> str | Response:
    """Greet who is signed in, and sign them out."""
    form = FlaskForm()
    if form.validate_on_submit():
        logout_user()
        return redirect(url_for("sign_in"))
    return render_template_string(PAGE, form=form)
