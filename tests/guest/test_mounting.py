"""Hosts below a path, behind a proxy, and with a name: links, forms, redirects and cookies lead back to us."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from melody_logs.state import state_of
from tests.docs import code_under
from tests.guest.conftest import API, CLEAN, KEYS, PAGES, TOKEN, MoveIn, NewHost, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import message, read_all, sign_in, write

#: Below this path the world sees the host.
MOUNT = "/tools/app"


def below_application_root(app: Flask) -> FlaskClient:
    """Mount the host below a path, with the setting that says so, which narrows its cookies."""
    app.config["APPLICATION_ROOT"] = MOUNT
    app.wsgi_app = DispatcherMiddleware(Flask("outer"), {MOUNT: app.wsgi_app})  # type: ignore[method-assign]
    return Mounted(app, app.response_class)


def behind_a_proxy_that_strips_the_prefix(app: Flask) -> FlaskClient:
    """Let a proxy take the path away and tell it in a header."""
    exec(code_under("hosts.md", "Behind a proxy"), {"app": app})
    return Proxied(app, app.response_class)


class Mounted(FlaskClient):
    """Visits as the world does: every path has the mount before it."""

    headers: ClassVar[Mapping[str, str]] = {}

    def open(self, *args: Any, **options: Any) -> Any:
        """Open a path below the mount."""
        given = {**self.headers, **(options.pop("headers", None) or {})}
        # Without a base URL, Flask's client would mount once more what APPLICATION_ROOT names.
        return super().open(*args, headers=given, **{"base_url": "http://localhost"} | options)


class Proxied(Mounted):
    """Visits through a proxy that strips the mount, ends TLS and passes its own name on."""

    headers: ClassVar[Mapping[str, str]] = {
        "X-Forwarded-Prefix": MOUNT,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "world.example",
    }

    def open(self, *args: Any, **options: Any) -> Any:
        """Open a path without the mount."""
        assert args[0].startswith(MOUNT)
        return super().open(args[0].removeprefix(MOUNT), *args[1:], **options)


@pytest.fixture(params=[below_application_root, behind_a_proxy_that_strips_the_prefix])
def client(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> FlaskClient:
    """A visitor of a host that is mounted below ``/tools/app``."""
    app = new_host()
    app.view_functions.pop("home")
    add_login_view(app, answer="redirect")
    move_in(app).watch_sign_in("auth.login")
    mount: Callable[[Flask], FlaskClient] = request.param
    return mount(app)


def links_of(text: str) -> list[str]:
    """Give every address that a page of ours leads to or asks for."""
    found = re.findall(r'\s(?:href|src|action|hx-get|hx-post|data-url)="([^"#]+)"', text)
    return [link for link in found if not link.startswith("data:")]


def test_every_link_of_our_pages_stays_below_the_mount(client: FlaskClient) -> None:
    write(state_of(client.application).database, *[sign_in() for _ in range(30)], message())
    for path in ("/", "/sign-in", "/sign-in/1", "/email/1", "/sign-in/clean", "/retention", "/health", "/sms/77"):
        links = links_of(client.get(f"{MOUNT}{PAGES}{path}").text)
        assert links
        for link in links:
            assert link.startswith((f"{MOUNT}{PAGES}/", "?")), link
        for link in links:
            if "/static/" in link:
                with client.get(link) as answer:
                    assert answer.status_code == 200


def test_redirects_and_forms_lead_below_the_mount(client: FlaskClient) -> None:
    assert client.get(f"{MOUNT}{PAGES}").location.endswith(f"{MOUNT}{PAGES}/")
    form = read_form(client, mount=MOUNT)
    answer = client.post(f"{MOUNT}{CLEAN}", data=form)
    assert answer.status_code == 303
    assert answer.location.startswith(f"{MOUNT}{CLEAN}/")
    assert client.get(answer.location).status_code == 200


def test_programs_are_led_below_the_mount(client: FlaskClient) -> None:
    write(state_of(client.application).database, *[message() for _ in range(501)])
    token = bearer(client.application, client=client, path=f"{MOUNT}{TOKEN}")
    answer = client.get(f"{MOUNT}{API}/email", headers=token)
    link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers["Link"])
    assert link is not None and link[1].startswith(f"{MOUNT}{API}/email?cursor=")
    assert len(client.get(link[1], headers=token).json["logs"]) == 1  # type: ignore[index]
    assert client.get(f"{MOUNT}{KEYS}").status_code == 200
    assert client.get(f"{MOUNT}{API}/fax").content_type == "application/problem+json"


def test_sign_in_that_leads_back_is_seen_as_failed(client: FlaskClient) -> None:
    form = {"email": "ann@example.org"}
    for password in ("wrong", "right"):
        client.post(f"{MOUNT}/login", data=form | {"password": password})
    rows = read_all(state_of(client.application).database, "sign-in")
    assert [row.outcome for row in rows] == ["failure", "success"]
