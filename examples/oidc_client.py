"""Sign-in with an OpenID Connect provider, by Authlib. Run it: flask --app examples/oidc_client.py run

It needs FLASK_PROVIDER_SERVER_METADATA_URL (https://…/.well-known/openid-configuration), FLASK_PROVIDER_CLIENT_ID and
FLASK_PROVIDER_CLIENT_SECRET; register http://127.0.0.1:5000/callback there. FLASK_ADMIN is who may see the logs.
"""

import secrets

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, abort, g, redirect, render_template_string, session, url_for
from joserfc.errors import JoseError
from requests import RequestException

from melody_logs import MelodyLogs
from melody_logs.integrations import Authlib

PAGE = """<!doctype html><html lang="en"><title>OpenID Connect</title>
{% if session.user_id %}<p>Hello {{ session.user_id }} <a href="/admin/logs/">Logs</a></p>
<form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>
{% else %}<a href="{{ url_for('login') }}">Sign in</a>{% endif %}"""

app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_hex(),
    SQLALCHEMY_DATABASE_URI="sqlite://",
    MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
    ADMIN="ann@example.org",
)
app.config.from_prefixed_env()
logs = MelodyLogs(app)
logs.use(Authlib(reason=lambda response: g.get("reason")))
logs.watch_sign_in("logout", identity=lambda: None, event="sign_out", method=None)
oauth = OAuth(app)
oauth.register(
    "provider", client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "default_timeout": 5}
)


@logs.admin_access
def who_may_enter():
    return "write" if "user_id" in session else None


@app.get("/")
def home():
    return render_template_string(PAGE)


@app.get("/login")
def login():
    return oauth.provider.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    person = oauth.provider.authorize_access_token()["userinfo"]
    if person.get("email") != app.config["ADMIN"] or not person.get("email_verified"):
        g.reason = "unknown_account"
        abort(403)
    session["user_id"] = person["email"]
    return redirect(url_for("home"))


@app.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("home"))


@app.errorhandler(OAuthError)
@app.errorhandler(JoseError)
def explain_refusal(error):
    return "The sign-in was not completed.", 400


@app.errorhandler(RequestException)
def explain_outage(error):
    return "The provider does not answer. Please try again later.", 502
