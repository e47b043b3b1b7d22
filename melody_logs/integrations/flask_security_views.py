"""The views of Flask-Security at which somebody signs in, proves who they are or gets an account back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Response, current_app, request, session

from .flask_security_forms import IDENTITY_FIELDS, METHODS, Checked, Seen, join_link, seen_in_request
from .sign_in_views import read_field, user_before

POST = frozenset({"POST"})
GET = frozenset({"GET"})
Fields = dict[str, Any]
#: A message to the visitor: the reason that it means, and the names of what is filled in.
_TOLD: dict[str, tuple[str, tuple[str, ...]]] = {
    "DISABLED_ACCOUNT": ("inactive_account", ()),
    "IDENTITY_NOT_REGISTERED": ("unknown_account", ("id",)),
    "OAUTH_HANDSHAKE_ERROR": ("provider_error", ("exerror", "exdesc")),
}
#: Where one of these is right, the view sends a message and does nothing else.
_SENDING = frozenset({"forgot_password_form", "username_recovery_form", "passwordless_login_form"})


@dataclass(frozen=True, slots=True)
class SecurityView:
    """A view of Flask-Security, and how to read what was tried there."""

    read: Callable[[Response], Fields | None]
    methods: frozenset[str] = POST


@dataclass(frozen=True, slots=True)
class FormView:
    """A view that checks a form: the first of *forms* that was checked tells what was tried.

    ``accepted`` is the outcome where the form was right; a sign-in that is complete is told by a signal, which goes
    before. To a view that ``is_open`` anybody may come, so that an error without a check is a failed attempt.
    """

    event: str
    forms: tuple[str, ...]
    accepted: str
    is_open: bool = False
    methods: frozenset[str] = POST

    def read(self, response: Response) -> Fields | None:
        """Read the attempt; None if nothing was tried."""
        seen = seen_in_request()
        checked = next((seen.forms[name] for name in self.forms if name in seen.forms), None)
        if checked is None:
            return self._read_refused(response)
        if getattr(checked.form, "is_setup", False):
            # Somebody who is signed in sets up a second factor.
            return None
        return {"event": self.event, **self._judge(seen, checked, response), **checked.fields}

    def _judge(self, seen: Seen, checked: Checked, response: Response) -> Fields:
        if not checked.is_valid:
            return {"outcome": "failure"}
        if seen.is_code_unsent or (response.status_code >= 500 and not _SENDING.isdisjoint(seen.forms)):
            return {"outcome": "failure", "reason": "provider_error"}
        return {"outcome": "failure" if response.status_code >= 500 else self.accepted}

    def _read_refused(self, response: Response) -> Fields | None:
        is_limited = response.status_code == 429
        if not is_limited and (not self.is_open or response.status_code < 400 or user_before() is not None):
            return None
        refused = {"event": self.event, "outcome": "failure", "identity": read_field(IDENTITY_FIELDS)}
        return refused | {"reason": "rate_limited"} if is_limited else refused


def _read_rescue(response: Response) -> Fields | None:
    """Read what was asked of the page for those who have lost their second factor."""
    checked = seen_in_request().forms.get("two_factor_rescue_form")
    if checked is None or not checked.is_valid or checked.form.help_setup.data == "recovery_code":
        return None
    is_unsent = seen_in_request().is_code_unsent or response.status_code >= 500
    ended = {"outcome": "failure", "reason": "provider_error"} if is_unsent else {"outcome": "challenge"}
    method = METHODS.get(checked.form.help_setup.data, "help")
    return {"event": "recovery"} | checked.fields | ended | {"method": method}


def _read_reset(response: Response) -> Fields | None:
    """Read a reset of a password: the link was right or wrong, then the new password."""
    join_link((request.view_args or {}).get("token"))
    fields: Fields = {"event": "password_reset", "method": "magic_link"}
    checked = seen_in_request().forms.get("reset_password_form")
    if checked is not None:
        return fields | checked.fields | {"outcome": "success" if checked.is_valid else "failure"}
    reason = _find_fault("reset", "RESET_PASSWORD_WITHIN")
    is_sent_away = response.status_code >= 300 and current_app.config.get("SECURITY_REDIRECT_BEHAVIOR") != "spa"
    if reason is None and (request.method == "POST" or is_sent_away):
        # Signed by the app and in time, but used, or of an account that has changed since.
        reason = "expired_code"
    # With a link that is right, the form is shown first.
    return None if reason is None else fields | {"outcome": "failure", "reason": reason}


def _read_login_link(response: Response) -> Fields | None:
    """Read a visit by the link of a passwordless sign-in."""
    join_link((request.view_args or {}).get("token"))
    if seen_in_request().is_signed_in or user_before() is not None:
        return None
    reason = _find_fault("login", "LOGIN_WITHIN") or "unknown_account"
    return {"outcome": "failure", "method": "magic_link", "reason": reason}


def _read_unified_link(response: Response) -> Fields | None:
    """Read a visit by the link of a unified sign-in."""
    if seen_in_request().is_signed_in or user_before() is not None:
        return None
    return {"outcome": "challenge" if "tf_user_id" in session else "failure", "method": "magic_link"}


def _read_passkey(response: Response) -> Fields | None:
    """Read the answer of a passkey, for which there is a limited time."""
    if "wan_signin_response_form" in seen_in_request().forms:
        return _PASSKEY.read(response)
    reason = _find_fault("wan", "WAN_SIGNIN_WITHIN")
    return None if reason is None else {"outcome": "failure", "method": "passkey", "reason": reason}


def _read_provider(response: Response) -> Fields | None:
    """Read the way back from an OAuth provider."""
    if seen_in_request().is_signed_in:
        return None
    fields: Fields = {"method": f"oauth:{(request.view_args or {}).get('name')}"}
    if "tf_user_id" in session:
        return fields | {"outcome": "challenge"}
    return fields | {"outcome": "failure", "reason": _find_told(response)}


def _find_told(response: Response) -> str | None:
    """Find the reason in what the visitor is told on the next page: there is no form that would know it."""
    from flask_security.utils import get_message

    if response.status_code >= 400:
        return None
    told = [str(text) for _, text in session.get("_flashes", ())][-1:]
    told += [text for _, text in parse_qsl(urlsplit(response.location or "").query)]
    for key, (reason, names) in _TOLD.items():
        parts = get_message(key, **dict.fromkeys(names, "\0"))[0].split("\0")
        if any(re.fullmatch("(?s:.*)".join(map(re.escape, parts)), text) for text in told):
            return reason
    # What is left are the words that the host's is_locked has found.
    return "locked_account" if told else None


def _find_fault(serializer: str, within: str) -> str | None:
    """Say what is wrong with the token in the address, if anything; only its signature and time are looked at."""
    from flask_security.utils import check_and_get_token_status

    lifetime: timedelta = current_app.config[f"SECURITY_{within}"]
    token = (request.view_args or {}).get("token", "")
    expired, invalid, _ = check_and_get_token_status(token, serializer, lifetime)
    return "expired_code" if expired else "wrong_code" if invalid else None


_PASSKEY = FormView("sign_in", ("wan_signin_response_form",), "challenge")
_UNIFIED = FormView("sign_in", ("us_signin_form",), "challenge", is_open=True)
#: By the name that the library gives to the endpoint in its blueprint.
VIEWS: dict[str, FormView | SecurityView] = {
    "login": FormView(
        "sign_in", ("login_form", "us_signin_form", "passwordless_login_form"), "challenge", is_open=True
    ),
    "token_login": SecurityView(_read_login_link, GET),
    "us_signin": _UNIFIED,
    "us_signin_send_code": _UNIFIED,
    "us_verify_link": SecurityView(_read_unified_link, GET),
    "two_factor_token_validation": FormView("sign_in", ("two_factor_verify_code_form",), "challenge"),
    "two_factor_rescue": SecurityView(_read_rescue),
    "mf_recovery": FormView("sign_in", ("mf_recovery_form",), "challenge"),
    "mf_recovery_codes": FormView("recovery", ("mf_recovery_codes_form",), "success"),
    "wan_signin_response": SecurityView(_read_passkey),
    "oauthresponse": SecurityView(_read_provider, GET | POST),
    "verify": FormView("sign_in", ("verify_form",), "success"),
    "us_verify": FormView("sign_in", ("us_verify_form",), "success"),
    "wan_verify_response": FormView("sign_in", ("wan_signin_response_form",), "success"),
    "forgot_password": FormView("recovery", ("forgot_password_form",), "success", is_open=True),
    "recover_username": FormView("recovery", ("username_recovery_form",), "success", is_open=True),
    "reset_password": SecurityView(_read_reset, GET | POST),
    "change_password": FormView("password_change", ("change_password_form",), "success"),
    "refresh_token": FormView("token_refresh", ("refresh_token_form",), "success", is_open=True),
}
