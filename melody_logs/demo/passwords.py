"""Resetting a forgotten password by a mailed link."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from .accounts import db, find_user
from .forms import ForgotForm, NewPasswordForm
from .messages import DeliveryError, send_email
from .recording import logs
from .tokens import make_reset_token, user_of_reset_token

blueprint = Blueprint("passwords", __name__)


@blueprint.route("/forgot-password", methods=["GET", "POST"])
def forgot() -> str | Response:
    """Ask where to send the link; the answer is the same whether there is such an account or not."""
    form = ForgotForm()
    if not form.validate_on_submit():
        return render_template("forgot.html", form=form)
    user = find_user(form.email.data)
    if user is not None:
        token = make_reset_token(user)
        link = url_for("passwords.reset", token=token, _external=True)
        try:
            send_email(
                user,
                subject="Reset your password",
                template="password_reset",
                secrets=[token, link],
                link=link,
            )
        except DeliveryError as error:
            flash(f"The mail could not be sent: {error}", "bad")
            return redirect(url_for("passwords.forgot"), 303)
    flash("If there is such an account, a mail with a link is on its way. See the inbox.", "good")
    return redirect(url_for("passwords.forgot"), 303)


@blueprint.route("/reset-password/<token>", methods=["GET", "POST"])
def reset(token: str) -> str | Response | tuple[str, int]:
    """Take the new password of whoever has the link."""
    user = user_of_reset_token(token)
    if user is None:
        flash("This link does not work any more. Ask for a new one.", "bad")
        return redirect(url_for("passwords.forgot"), 303)
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return render_template("reset.html", form=form, email=user.email)
    user.set_password(form.password.data)
    db.session.commit()
    logs.record_sign_in(event="password_reset", identity=user.email, success=True, user_id=user.id, method="magic_link")
    flash("The password is changed. Sign in with it.", "good")
    return redirect(url_for("auth.sign_in"), 303)
