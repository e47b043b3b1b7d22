"""The demo host's other pages: start, account and the inbox of everything that was sent."""

from __future__ import annotations

import re

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user, login_required
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from .accounts import db
from .configuration import ADMIN_EMAIL, DemoConfiguration
from .forms import PlainForm, TextStepForm
from .messages import DeliveryError, list_received

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def start() -> str:
    """Say what to try, and with which accounts."""
    configuration: DemoConfiguration = current_app.extensions["melody_demo"]
    return render_template(
        "start.html",
        people_password=configuration.people_password,
        admin_email=ADMIN_EMAIL,
        admin_url=current_app.config["MELODY_LOGS_ADMIN_PREFIX"],
    )


@blueprint.route("/account", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]  # Flask-Login has no types
def account() -> str | Response:
    """Show the account and switch its text-message step."""
    form = TextStepForm(obj=current_user)
    if form.validate_on_submit():
        current_user.phone = form.phone.data or None
        current_user.wants_text_step = bool(form.wants_text_step.data and current_user.phone)
        db.session.commit()
        flash("Saved.", "good")
        return redirect(url_for("pages.account"), 303)
    return render_template(
        "account.html", form=form, plain=PlainForm(), admin_url=current_app.config["MELODY_LOGS_ADMIN_PREFIX"]
    )


@blueprint.get("/inbox")
def inbox() -> str | tuple[str, int]:
    """Show what the mail and text-message catcher has received."""
    receiver = request.args.get("to", "").strip()
    try:
        messages = list_received()
    except DeliveryError as error:
        flash(f"The catcher does not answer: {error}", "bad")
        return render_template("inbox.html", messages=[], receiver=receiver), 503
    shown = [message for message in messages if receiver.lower() in message["to"].lower()]
    return render_template("inbox.html", messages=shown[:50], receiver=receiver)


@blueprint.app_template_filter("with_links")
def link_addresses(text: str) -> Markup:
    """Turn the addresses of a plain text into links; everything else is escaped."""
    parts = re.split(r"(https?://[^\s<>\"']+)", text)
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )
