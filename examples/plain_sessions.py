"""Flask's own sessions, and a mailed link to a new password. Run it: flask --app examples/plain_sessions.py run"""

import secrets

import click
from flask import Flask, g, redirect, render_template_string, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from melody_logs import MelodyLogs

PAGE = """<!doctype html><html lang="en"><title>Plain sessions</title>
<p>{{ message or "ann@example.org and ben@example.org, who is locked, have the password: correct horse" }}</p>
{% if session.user_id %}<a href="/admin/logs/">Logs</a>
<form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>{% else %}<form method="post">
{% for name in fields %}<label>{{ name }} <input name="{{ name }}" type="{{ name }}"></label>{% endfor %}
<button>Go on</button></form><a href="{{ url_for('forgot') }}">Forgot your password?</a>{% endif %}"""

app = Flask(__name__)
app.config.update(SECRET_KEY=secrets.token_hex(), SESSION_COOKIE_SAMESITE="Lax", SQLALCHEMY_DATABASE_URI="sqlite://")
app.config.update(MELODY_LOGS_ENABLE_SIGN_IN_LOG=True, MELODY_LOGS_ENABLE_EMAIL_LOG=True)
app.config.from_prefixed_env()
logs = MelodyLogs(app)
rules = {"reason": lambda response: g.get("reason"), "outcome": lambda response: "reason" not in g}
logs.watch_sign_in("login", identity="email", **rules)
logs.watch_sign_in("logout", identity=lambda: None, event="sign_out", method=None)
logs.watch_sign_in("forgot", identity="email", event="recovery", method="email_code", **rules)
logs.watch_sign_in("reset", identity=lambda: g.get("email"), event="password_reset", method="email_code", **rules)

passwords = dict.fromkeys(("ann@example.org", "ben@example.org"), generate_password_hash("correct horse"))
locked, links = {"ben@example.org"}, {}


@logs.admin_access
def who_may_enter():
    return "write" if session.get("user_id") == "ann@example.org" else None


@app.route("/", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        email, password = request.form["email"], request.form["password"]
        if email not in passwords or not check_password_hash(passwords[email], password):
            g.reason = "wrong_password" if email in passwords else "unknown_account"
        elif email in locked:
            g.reason = "locked_account"
        else:
            session["user_id"] = email
    return render_template_string(PAGE, fields=["email", "password"], message="reason" in g and "That did not work.")


@app.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("login"))


@app.route("/forgot", methods=["GET", "POST"])
def forgot():
    email = request.form.get("email")
    if email in passwords:
        links[token := secrets.token_urlsafe()] = email
        text = f"Choose a new password: {url_for('reset', token=token, _external=True)}"
        with logs.sending_email(receiver=email, content=text, purpose="password_reset", secrets=[token]):
            click.echo(text)  # hand it to your mail server here
    else:
        g.reason = "unknown_account"
    return render_template_string(PAGE, fields=["email"], message=email and "A link is on its way, if we know you.")


@app.route("/reset/<token>", methods=["GET", "POST"])
def reset(token):
    if token not in links:
        g.reason = "wrong_code"
        return "This link was used, or never given out.", 400
    if request.method == "GET":
        return render_template_string(PAGE, fields=["password"])
    g.email = links.pop(token)
    passwords[g.email] = generate_password_hash(request.form["password"])
    return redirect(url_for("login"))
