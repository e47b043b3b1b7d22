"""The forms of Flask-Security as they were checked: what the library knows at that moment, it tells nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import has_request_context, request, session
from sqlalchemy import inspect

from ..recording.flows import flow_of, use_flow
from ..recording.guard import guarded
from .integration import state_with

_NAME = "_melody_logs_flask_security"
_WATCHED = "_melody_logs_watched"
_LEAST_TOKEN = 20
#: The fields for an account's name.
IDENTITY_FIELDS = ("email", "username", "identity")
#: The library's words for how somebody authenticates, and ours.
METHODS = {
    "password": "password",
    "sms": "sms_code",
    "authenticator": "otp",
    "google_authenticator": "otp",
    "email": "email_code",
    "mail": "email_code",
    "webauthn": "passkey",
    "token": "magic_link",
    "register": "registration",
    "confirm": "confirmation",
    "reset": "password_reset",
}
_METHODS_OF_FORMS = {
    "login_form": "password",
    "verify_form": "password",
    "change_password_form": "password",
    "passwordless_login_form": "magic_link",
    "forgot_password_form": "magic_link",
    "reset_password_form": "magic_link",
    "username_recovery_form": "email_code",
    "mf_recovery_form": "recovery_code",
    "mf_recovery_codes_form": "recovery_code",
    "wan_signin_response_form": "passkey",
    "refresh_token_form": "token",
}
FORMS = (
    *_METHODS_OF_FORMS,
    "us_signin_form",
    "us_verify_form",
    "two_factor_verify_code_form",
    "two_factor_rescue_form",
)
#: The message that the library puts beside a field, and the reason that it means.
_REASONS = {
    "USER_DOES_NOT_EXIST": "unknown_account",
    "US_SPECIFY_IDENTITY": "unknown_account",
    "WEBAUTHN_UNKNOWN_CREDENTIAL_ID": "unknown_account",
    "DISABLED_ACCOUNT": "inactive_account",
    "CONFIRMATION_REQUIRED": "unconfirmed_account",
    "INVALID_PASSWORD": "wrong_password",
    "TWO_FACTOR_INVALID_TOKEN": "wrong_code",
    "INVALID_RECOVERY_CODE": "wrong_code",
}
_REFRESH_REASONS = {"EXPIRED": "expired_code", "REVOKED": "revoked_token", "GEN_MISMATCH": "reused_token"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A form after its check; *fields* are keywords of ``record_sign_in``, a reason only if it is not valid."""

    form: Any
    is_valid: bool
    fields: dict[str, Any]


@dataclass(slots=True)
class Seen:
    """What was seen of Flask-Security in a request."""

    forms: dict[str, Checked] = field(default_factory=dict)
    is_signed_in: bool = False
    #: A code could not be sent: the library turns the exception into a message.
    is_code_unsent: bool = False


def seen_in_request() -> Seen:
    """Give what was seen in this request so far; outside a request, something that nobody keeps."""
    if not has_request_context():
        return Seen()
    current: Any = request._get_current_object()  # type: ignore[attr-defined]
    seen: Seen | None = getattr(current, _NAME, None)
    if seen is None:
        seen = Seen()
        setattr(current, _NAME, seen)
    return seen


@guarded
def join_link(token: object) -> None:
    """Let this request belong to the story of a mailed link, which may be followed in another browser."""
    state = state_with("flask-security")
    # The few digits of a code could be guessed from the hash.
    if state is not None and isinstance(token, str) and len(token) >= _LEAST_TOKEN:
        use_flow(flow_of(token, state.derive_key("flow")))


def watch_forms(security: Any) -> None:
    """Look at the forms that the library makes for its views, whatever classes the host has given it."""
    for name in FORMS:
        info = security.forms.get(name)
        if info is not None and not hasattr(info.instantiator, _WATCHED):
            info.instantiator = _watching(info.instantiator)


def describe_account(user: Any) -> dict[str, Any]:
    """Read id and name of an account of Flask-Security; what cannot be read is left out."""
    try:
        return {"user_id": read_account_id(user), "identity": user.calc_username() or None}
    except Exception:
        # There is no user, or the host's session has let go of it.
        return {}


def read_account_id(user: Any) -> Any:
    """Read the id of an account, of SQLAlchemy's without a query; None if it has none yet."""
    identity = getattr(inspect(user, raiseerr=False), "identity", None)
    return identity[0] if identity and len(identity) == 1 else user.id


def _watching(instantiate: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(instantiate)
    def make(name: str, *given: Any, **options: Any) -> Any:
        form = instantiate(name, *given, **options)
        _watch(name, form)
        return form

    setattr(make, _WATCHED, True)
    return make


@guarded
def _watch(name: str, form: Any) -> None:
    state = state_with("flask-security")
    if state is None or not state.settings.enable_sign_in_log:
        return
    validate = form.validate

    @wraps(validate)
    def watched(*given: Any, **options: Any) -> Any:
        is_valid = validate(*given, **options)
        _note(name, form, bool(is_valid))
        return is_valid

    form.validate = watched


@guarded
def _note(name: str, form: Any, is_valid: bool) -> None:
    """Read the form at once: the view may take its messages away, and a commit the user."""
    from flask_login import current_user

    user = current_user if name in ("change_password_form", "mf_recovery_codes_form") else getattr(form, "user", None)
    fields = describe_account(user)
    typed = _read_typed(form)
    if typed is not None:
        fields["identity"] = typed
    fields["method"] = _read_method(name, form, is_valid)
    if getattr(form, "is_verify", False) and is_valid:
        # A passkey of somebody else does not make the session fresh: the view asks that after the check.
        is_valid = str(form.user.fs_uniquifier) == session.get("_user_id")
    if not is_valid:
        fields["reason"] = _read_reason(name, form)
    seen_in_request().forms[name] = Checked(form, is_valid, fields)


def _read_typed(form: Any) -> str | None:
    for name in IDENTITY_FIELDS:
        data = getattr(getattr(form, name, None), "data", None)
        if isinstance(data, str) and data:
            return data
    return None


def _read_method(name: str, form: Any, is_valid: bool) -> str | None:
    if name == "two_factor_verify_code_form":
        return METHODS.get(form.primary_method)
    if name not in ("us_signin_form", "us_verify_form"):
        return _METHODS_OF_FORMS.get(name)
    if form.submit_send_code.data:
        return METHODS.get(form.chosen_method.data)
    if is_valid:
        return METHODS.get(form.authn_via)
    # One field takes either; what was tried is known only once it was right.
    return None if _is_code(form.passcode.data) else "password"


def _read_reason(name: str, form: Any) -> str | None:
    from flask_security.utils import get_message

    messages = set(_list_messages(form))
    for key, reason in _REASONS.items():
        if get_message(key)[0] in messages:
            return reason
    if name == "refresh_token_form":
        error = getattr(form.refresh_errors, "name", None)
        return _REFRESH_REASONS.get(error, "invalid_token") if error else None
    code = getattr(form, "code", getattr(form, "passcode", None))
    is_asked_for = getattr(getattr(form, "submit_send_code", None), "data", False)
    if code is not None and not is_asked_for:
        if not code.data:
            return "missing_code"
        if get_message("INVALID_PASSWORD_CODE")[0] in messages:
            return "wrong_code" if _is_code(code.data) else "wrong_password"
    if name in ("reset_password_form", "change_password_form"):
        return "password_refused"
    return "locked_account" if _is_locked(form) else None


def _is_locked(form: Any) -> bool:
    """Say whether the host's ``is_locked`` has refused the account: it has found words of its own for it."""
    if getattr(form, "user", None) is None:
        return False
    return any(getattr(getattr(form, name, None), "errors", None) for name in IDENTITY_FIELDS)


def _is_code(typed: Any) -> bool:
    return str(typed).isdigit()


def _list_messages(form: Any) -> Iterator[str]:
    for errors in form.errors.values():
        yield from map(str, errors)
