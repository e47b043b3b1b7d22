"""The reset links and text-message codes of the demo host: each works once and for a short time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from flask import current_app
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from .accounts import User, db

RESET_LIFETIME_SECONDS = 30 * 60
CODE_LIFETIME_SECONDS = 5 * 60
MOST_CODE_ATTEMPTS = 5


def make_reset_token(user: User) -> str:
    """Make a token that resets the password of *user* until it is changed."""
    return _serializer().dumps([user.id, _fingerprint(user)])


def user_of_reset_token(token: str) -> User | None:
    """Find whose password *token* may reset; None if it is wrong, used or too old."""
    try:
        user_id, fingerprint = _serializer().loads(token, max_age=RESET_LIFETIME_SECONDS)
    except (SignatureExpired, BadSignature, ValueError, TypeError):
        return None
    user = db.session.get(User, user_id)
    return user if user is not None and hmac.compare_digest(_fingerprint(user), str(fingerprint)) else None


def make_code(user: User) -> str:
    """Make the code of a sign-in of *user*; an earlier one stops working."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    user.code_hash, user.code_expires_at, user.code_attempts = _hash_code(code), time.time() + CODE_LIFETIME_SECONDS, 0
    db.session.commit()
    return code


def check_code(user: User, code: str) -> str | None:
    """Check and use up a code: None if it is right, else the reason why not."""
    if user.code_hash is None or time.time() > user.code_expires_at:
        return "expired_code"
    user.code_attempts += 1
    is_right = user.code_attempts <= MOST_CODE_ATTEMPTS and hmac.compare_digest(_hash_code(code), user.code_hash)
    if is_right or user.code_attempts >= MOST_CODE_ATTEMPTS:
        user.code_hash = None
    db.session.commit()
    return None if is_right else "wrong_code"


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="demo-password-reset")


def _fingerprint(user: User) -> str:
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]


def _hash_code(code: str) -> str:
    key = str(current_app.secret_key).encode()
    return hmac.new(key, b"demo code " + code.strip().encode(), hashlib.sha256).hexdigest()
