"""The forms of the demo host; each carries a CSRF token."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, PasswordField, StringField
from wtforms.validators import InputRequired, Length, Optional, Regexp


class SignInForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Email address and password."""

    email = EmailField("Email address", [InputRequired("Enter your email address."), Length(max=320)])
    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=200)])


class CodeForm(FlaskForm):  # type: ignore[misc]
    """The code of the text message."""

    code = StringField("Code", [InputRequired("Enter the code."), Length(max=20)])


class ForgotForm(FlaskForm):  # type: ignore[misc]
    """Whose password is to be reset."""

    email = EmailField("Email address", [InputRequired("Enter your email address."), Length(max=320)])


class NewPasswordForm(FlaskForm):  # type: ignore[misc]
    """A new password."""

    password = PasswordField("New password", [InputRequired("Enter a new password."), Length(8, 200)])


class TextStepForm(FlaskForm):  # type: ignore[misc]
    """Whether a code is asked for by text message after the password, and where it goes."""

    phone = StringField("Phone number", [Optional(), Regexp(r"^\+[0-9]{8,15}$", message="Like +16475550143.")])
    wants_text_step = BooleanField("Ask for a code by text message when I sign in")


class PlainForm(FlaskForm):  # type: ignore[misc]
    """Nothing but a CSRF token, for buttons."""
