"""A Django project with one peer, or none, that runs in the peers' own environment and answers how long its calls took.

The first argument names what is installed: ``plain``, ``django-axes``, ``django-easy-audit`` or ``django-email-log``.
A question names a call (``right`` or ``wrong``: a login with that password; ``mail``) and how many to make.
"""

from __future__ import annotations

import io
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import django
from django.conf import settings

from benchmarks.children import answer_questions

MEMORY = "django.core.mail.backends.locmem.EmailBackend"
#: What each peer's documentation asks for, with what it does beside logging switched off.
PEERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "django-axes": {
        "apps": ["axes"],
        "middleware": ["axes.middleware.AxesMiddleware"],
        "backends": ["axes.backends.AxesStandaloneBackend"],
        "settings": {"AXES_FAILURE_LIMIT": 10**9, "AXES_VERBOSE": False},
    },
    "django-easy-audit": {
        "apps": ["easyaudit"],
        "middleware": ["easyaudit.middleware.easyaudit.EasyAuditMiddleware"],
        "settings": {
            "DJANGO_EASY_AUDIT_WATCH_AUTH_EVENTS": True,
            "DJANGO_EASY_AUDIT_WATCH_MODEL_EVENTS": False,
            "DJANGO_EASY_AUDIT_WATCH_REQUEST_EVENTS": False,
        },
    },
    "django-email-log": {
        "apps": ["email_log"],
        "settings": {"EMAIL_BACKEND": "email_log.backends.EmailBackend", "EMAIL_LOG_BACKEND": MEMORY},
    },
}
_REQUIRED_APPS = ("admin", "auth", "contenttypes", "messages", "sessions")
urlpatterns: list[Any] = []


def configure(peer: dict[str, Any], address: str) -> None:
    """Make the project: a cheap password hash and sessions in cookies, so that the peer's share shows."""
    url = urlsplit(address)
    database = {"NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port}
    settings.configure(
        SECRET_KEY="for a benchmark only, and not a secret",
        ALLOWED_HOSTS=["benchmark"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": None, **database}},
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in _REQUIRED_APPS), *peer.get("apps", ())],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            *peer.get("middleware", ()),
        ],
        AUTHENTICATION_BACKENDS=[*peer.get("backends", ()), "django.contrib.auth.backends.ModelBackend"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SILENCED_SYSTEM_CHECKS=["admin", "axes"],
        LOGGING_CONFIG=None,
        **{"EMAIL_BACKEND": MEMORY, **peer.get("settings", {})},
    )
    django.setup()
    logging.disable(logging.CRITICAL)


def prepare() -> None:
    """Make the tables, a user and the login view."""
    from django.contrib.auth import authenticate, login
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", "ada@example.org", "right")

    def log_in(request: HttpRequest) -> HttpResponse:
        user = authenticate(request, username=request.POST["name"], password=request.POST["password"])
        if user is None:
            return HttpResponse("no", status=401)
        login(request, user)
        return HttpResponse("yes")

    urlpatterns.append(path("login", log_in))


def make_login(password: str, status: str) -> Callable[[], None]:
    """Give a function that logs in through WSGI, each time from another address."""
    from django.core.handlers.wsgi import WSGIHandler

    handler = WSGIHandler()
    body = urlencode({"name": "ada", "password": password}).encode()
    count = 0

    def log_in() -> None:
        nonlocal count
        count += 1
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/login",
            "SERVER_NAME": "benchmark",
            "SERVER_PORT": "80",
            "HTTP_HOST": "benchmark",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0",
            "REMOTE_ADDR": f"198.51.{count // 250 % 250}.{count % 250}",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
        }
        answered: list[str] = []
        b"".join(handler(environ, lambda status, headers, error=None: answered.append(status)))
        if not answered[0].startswith(status):
            raise RuntimeError(f"a login of the benchmark was answered with {answered[0]}")

    return log_in


def send_mail(html: str) -> None:
    """Send 4 KB of HTML into memory."""
    from django.core import mail

    mail.send_mail("Your sign-in code for Example", "", "no-reply@example.org", ["ada@example.org"], html_message=html)
    mail.outbox.clear()


def main() -> None:
    """Answer questions with the median of the calls, in microseconds."""
    configure(PEERS[sys.argv[1]], os.environ["BENCHMARK_ADDRESS"])
    prepare()
    with open(os.path.join(os.path.dirname(__file__), "mail.html"), encoding="utf-8") as file:
        html = file.read()
    from django.core import mail

    mail.outbox = []
    calls = {"right": make_login("right", "200"), "wrong": make_login("wrong", "401"), "mail": lambda: send_mail(html)}

    def answer(question: dict[str, Any]) -> dict[str, float]:
        function = calls[question["call"]]
        taken = []
        for _ in range(question["times"]):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
        return {"median": statistics.median(taken) * 1e6}

    answer_questions(answer)


if __name__ == "__main__":
    main()
