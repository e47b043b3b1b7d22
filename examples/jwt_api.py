"""A JSON API with tokens of Flask-JWT-Extended. Run it: flask --app examples/jwt_api.py run

curl --json '{"email": "ann@example.org", "password": "correct horse"}' http://127.0.0.1:5000/login
"""

import secrets

from flask import Flask, g, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)
from werkzeug.security import check_password_hash, generate_password_hash

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskJWTExtended

app = Flask(__name__)
app.config.update(SECRET_KEY=secrets.token_hex(32), SQLALCHEMY_DATABASE_URI="sqlite://")
app.config["MELODY_LOGS_ENABLE_SIGN_IN_LOG"] = True
app.config.from_prefixed_env()
logs = MelodyLogs(app)
logs.use(FlaskJWTExtended(endpoint="login", logout_endpoint="logout", reason=lambda response: g.get("reason")))
jwt = JWTManager(app)

hashed = generate_password_hash("correct horse")
accounts = {
    "ann@example.org": {"id": "1", "hash": hashed, "is_locked": False},
    "ben@example.org": {"id": "2", "hash": hashed, "is_locked": True},
}
revoked = set()
jwt.token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)


def refuse(reason, status):
    g.reason = reason
    return {"error": "These are not the right credentials."}, status


@app.post("/login")
def login():
    body = request.get_json()
    account = accounts.get(body.get("email"))
    if account is None:
        return refuse("unknown_account", 401)
    if not check_password_hash(account["hash"], body.get("password", "")):
        return refuse("wrong_password", 401)
    if account["is_locked"]:
        return refuse("locked_account", 403)
    return {
        "access_token": create_access_token(account["id"], fresh=True),
        "refresh_token": create_refresh_token(account["id"]),
    }


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh():
    return {"access_token": create_access_token(get_jwt_identity())}


@app.post("/logout")
@jwt_required(verify_type=False)
def logout():
    revoked.add(get_jwt()["jti"])
    return "", 204


@app.get("/me")
@jwt_required()
def me():
    return {"id": get_jwt_identity()}
