"""Signing in and out of the demo host, with a text-message code for accounts that ask for it."""

from __future__ import annotations

import secrets

from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask_login import current_user, login_required, login_user, logout_user
from werkzeug.wrappers import Response

from .accounts import User, find_user, load_user
from .forms import CodeForm, PlainForm, SignInForm
from .messages import DeliveryError, send_text
from .recording import logs
from .tokens import check_code, make_code

blueprint = Blueprint("auth", __name__)
_CODE_MESSAGES = {"wrong_code": "That code is wrong.", "expired_code": "That code is too old. Sign in again."}


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> str | Response | tuple[str, int]:
    """Ask for email address and password."""
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("sign_in.html", form=form)
    user = find_user(form.email.data)
    if user is None or not user.has_password(form.password.data):
        logs.record_sign_in(
            identity=form.email.data,
            success=False,
            reason="unknown_account" if user is None else "wrong_password",
            user_id=user.id if user else None,
            method="password",
        )
        flash("The email address or the password is wrong.", "bad")
        return render_template("sign_in.html", form=form), 401
    if user.wants_text_step and user.phone:
        return _ask_for_code(user)
    logs.record_sign_in(identity=user.email, success=True, user_id=user.id, method="password")
    login_user(user)
    return redirect(url_for("pages.account"), 303)


def _ask_for_code(user: User) -> Response:
    session["waiting_user_id"], session["flow_id"] = str(user.id), secrets.token_hex(8)
    logs.record_sign_in(
        identity=user.email, outcome="challenge", user_id=user.id, method="password", flow_id=session["flow_id"]
    )
    code = make_code(user)
    try:
        send_text(
            user,
            f"Your demo code is {code}. It works for 5 minutes.",
            purpose="sign_in_code",
            secrets=[code],
            flow_id=session["flow_id"],
        )
    except DeliveryError as error:
        flash(f"The text message could not be sent: {error}", "bad")
    return redirect(url_for("auth.code"), 303)


@blueprint.route("/sign-in/code", methods=["GET", "POST"])
def code() -> str | Response | tuple[str, int]:
    """Ask for the code of the text message."""
    user = load_user(session.get("waiting_user_id", ""))
    if user is None:
        return redirect(url_for("auth.sign_in"), 303)
    form = CodeForm()
    if not form.validate_on_submit():
        return render_template("code.html", form=form, phone_end=(user.phone or "")[-3:])
    reason = check_code(user, form.code.data)
    logs.record_sign_in(
        identity=user.email,
        success=reason is None,
        reason=reason,
        user_id=user.id,
        method="sms_code",
        flow_id=session.get("flow_id"),
    )
    if reason is not None:
        flash(_CODE_MESSAGES[reason], "bad")
        return render_template("code.html", form=form, phone_end=(user.phone or "")[-3:]), 401
    del session["waiting_user_id"]
    login_user(user)
    return redirect(url_for("pages.account"), 303)


@blueprint.post("/sign-out")
@login_required  # type: ignore[untyped-decorator]  # Flask-Login has no types
def sign_out() -> Response:
    """Sign out."""
    if PlainForm().validate_on_submit():
        logs.record_sign_in(event="sign_out", identity=current_user.email, success=True, user_id=current_user.id)
        logout_user()
        flash("You are signed out.", "good")
    return redirect(url_for("pages.start"), 303)
