"""What Flask-Security's messages are: their purpose, whom they are for, and the secrets in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from typing import Any

from flask import Flask

from ..recording.guard import guarded
from ..recording.known_secrets import UNREADABLE
from ..recording.outgoing import answering, described, describing, outgoing
from ..state import state_of
from .flask_security_forms import describe_account, join_link, seen_in_request
from .integration import state_with
from .wrapping import wrap_once

#: The setting that names a template, and what a message made from it is for.
_PURPOSES = {
    "EMAIL_TEMPLATE_PASSWORD_RESET": "password_reset",
    "EMAIL_TEMPLATE_CONFIRM": "verification",
    "CHANGE_EMAIL_EMAIL_TEMPLATE": "verification",
    "EMAIL_TEMPLATE_PASSWORDLESS": "magic_link",
    "US_EMAIL_TEMPLATE": "sign_in_code",
    "TWO_FACTOR_EMAIL_TEMPLATE": "mfa",
    "TWO_FACTOR_RESCUE_EMAIL_TEMPLATE": "mfa_help",
    "REGISTER_EMAIL_TEMPLATE": "welcome",
    "REGISTER_EMAIL_EXISTING_TEMPLATE": "welcome",
    "REGISTER_EMAIL_EXISTING_USERNAME_TEMPLATE": "welcome",
    "EMAIL_TEMPLATE_PASSWORD_RESET_NOTICE": "security_notice",
    "EMAIL_TEMPLATE_PASSWORD_CHANGE_NOTICE": "security_notice",
    "CHANGE_USERNAME_EMAIL_TEMPLATE": "security_notice",
    "USERNAME_RECOVERY_EMAIL_TEMPLATE": "username_recovery",
}
_SECRETS = ("link", "token", "code")
#: The code that was made last in this thread or task: a text message's sender is told only the text with it.
_CODE: ContextVar[str | None] = ContextVar("melody_logs_security_code", default=None)

Function = Callable[..., Any]


def watch_mail(security: Any, app: Flask) -> None:
    """Describe the emails that the library hands to the app's ``MailUtil``, for the adapter that sees them leave."""

    def make(send_mail: Function) -> Function:
        def describe_and_send(template: str, *given: Any, **context: Any) -> Any:
            # Where the secrets cannot be read, nobody can tell them from the rest of the text.
            facts = _describe_mail(app, template, context) or describing(secrets=[UNREADABLE])
            # Flask-Mailman is connected before there is a message of its own.
            with facts, answering(state_of(app).recorder, "email", partial(_read_mail, given, context)):
                return send_mail(template, *given, **context)

        return describe_and_send

    wrap_once(security.mail_util, "send_mail", make)


def watch_texts(security: Any) -> None:
    """Record the text messages of whichever sender the app has registered."""
    from flask_security import SmsSenderFactory

    model = security.datastore.user_model
    wrap_once(SmsSenderFactory, "createSender", _make_sender)
    for name, purpose in {"tf_send_security_token": "mfa", "us_send_security_token": "sign_in_code"}.items():
        if hasattr(model, name):
            wrap_once(model, name, partial(_describe_code, purpose))
    totp = getattr(security, "_totp_factory", None)
    if totp is not None:
        wrap_once(totp, "generate_totp_password", _remember_code)


@guarded
def _describe_mail(app: Flask, template: str, context: dict[str, Any]) -> AbstractContextManager[None]:
    purposes = {app.config.get(f"SECURITY_{key}"): purpose for key, purpose in _PURPOSES.items()}
    purpose = purposes.get(template)
    if purpose == "welcome" and context.get("confirmation_link"):
        purpose = "verification"
    if purpose == "sign_in_code" and context.get("login_link"):
        purpose = "magic_link"
    if purpose in ("password_reset", "magic_link"):
        join_link(context.get("reset_token", context.get("login_token")))
    secrets = list(_list_secrets(context))
    user_id = describe_account(context.get("user")).get("user_id")
    return describing(purpose=purpose, template=template, user_id=user_id, secrets=secrets or None)


def _read_mail(given: tuple[Any, ...], context: dict[str, Any]) -> dict[str, Any]:
    message = dict(zip(("subject", "recipient", "sender", "body", "html"), given, strict=False)) | context
    html = message.get("html")
    return {
        "receiver": message.get("recipient"),
        "subject": message.get("subject"),
        "content": html or message.get("body"),
        "content_type": "text/html" if html else "text/plain",
    }


def _list_secrets(context: dict[str, Any]) -> Iterator[str]:
    for name, value in context.items():
        if value and name.rpartition("_")[2] in _SECRETS:
            yield str(value)


def _describe_code(purpose: str, send: Function) -> Function:
    """Say whose code is sent and why; that it could not be sent the library tells in words, and raises nothing."""

    def describe_and_send(user: Any, *given: Any, **options: Any) -> Any:
        user_id = describe_account(user).get("user_id")
        with describing(purpose=purpose, user_id=user_id):
            trouble = send(user, *given, **options)
        if trouble:
            seen_in_request().is_code_unsent = True
        return trouble

    return describe_and_send


def _remember_code(generate: Function) -> Function:
    def generate_code(*given: Any, **options: Any) -> Any:
        code = generate(*given, **options)
        _CODE.set(str(code))
        return code

    return generate_code


def _make_sender(create: Function) -> Function:
    def create_sender(name: str, *given: Any, **options: Any) -> Any:
        sender = create(name, *given, **options)
        wrap_once(sender, "send_sms", partial(_recorded, name))
        return sender

    return create_sender


def _recorded(provider: str, send: Function) -> Function:
    def record_and_send(*given: Any, **options: Any) -> Any:
        state = state_with("flask-security")
        if state is None or not state.settings.enable_sms_log:
            return send(*given, **options)
        message = dict(zip(("from_number", "to_number", "msg"), given, strict=False)) | options
        fields = {
            "receiver": message.get("to_number"),
            "content": message.get("msg"),
            "purpose": described().get("purpose", "mfa"),
            "provider": provider.lower(),
            "secrets": _CODE.get(),
        }
        with outgoing(state.recorder, "sms", fields) as sending:
            answer = send(*given, **options)
            if provider == "Dummy":
                sending.suppressed('the "Dummy" sender sends nothing')
            return answer

    return record_and_send
