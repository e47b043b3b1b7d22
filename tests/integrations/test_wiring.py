"""How integrations come to an app: asked for or found, before or after the library, once, and never at its cost."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user

from melody_logs import MelodyLogs
from melody_logs.errors import ConfigurationError
from melody_logs.integrations import FlaskLogin, FlaskSecurity, Integration, wiring
from melody_logs.integrations.integration import state_with
from melody_logs.recording.recorder import Recorder
from melody_logs.state import State, state_of
from tests.hosts import close_host, make_host

BY_EXTENSION = (FlaskSecurity, FlaskLogin)


class Post(Integration):
    """Connects a library of this test, which counts how often that happened."""

    name = "post"
    distribution = ""
    module = "json"
    records = "emails"
    connected: ClassVar[list[Flask]] = []

    def is_used(self, app: Flask) -> bool:
        """Say whether the library has an extension on the app."""
        return "post" in app.extensions

    def connect(self, app: Flask, state: State) -> None:
        """Count."""
        self.connected.append(app)


class Broken(Post):
    """Finds the library half-configured."""

    name = "broken"

    def connect(self, app: Flask, state: State) -> None:
        """Fail as a library does that was not set up."""
        raise KeyError("POST_SERVER")


class Missing(Post):
    """Needs what is not installed."""

    name = "missing"
    distribution = "no-such-library"
    extra = "no-such-extra"


class Old(Post):
    """Needs a version that nobody has."""

    name = "old"
    distribution = "flask"
    least_version = (999,)


@pytest.fixture(autouse=True)
def no_integration_is_connected() -> None:
    Post.connected.clear()


@pytest.fixture
def make_app() -> Iterator[Any]:
    """A function that makes a host and ends it after the test."""
    apps = []

    def make(logs: MelodyLogs | None = None, **config: Any) -> Flask:
        app, _ = make_host(logs=logs, **config)
        apps.append(app)
        return app

    yield make
    for app in apps:
        close_host(app)


@pytest.fixture(autouse=True)
def by_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only those be found that look for an extension: the others go by what this process has imported."""
    monkeypatch.setattr(wiring, "FOUND_AUTOMATICALLY", BY_EXTENSION)


@pytest.fixture
def findable(monkeypatch: pytest.MonkeyPatch, by_extension: None) -> None:
    """Let the test's own integrations be found, too."""
    monkeypatch.setattr(wiring, "FOUND_AUTOMATICALLY", (*BY_EXTENSION, Post, Broken, Missing, Old))


def enter(app: Flask) -> State:
    with app.app_context():
        return state_of()


@pytest.mark.parametrize("is_early", [True, False])
def test_what_is_asked_for_is_connected_once_in_any_order(make_app: Any, is_early: bool) -> None:
    logs, integration = MelodyLogs(), Post()
    if is_early:
        logs.use(integration)
    app = make_app(logs)
    if not is_early:
        logs.use(integration)
    state = enter(app)
    assert Post.connected == [app]
    assert state.integrations == {"post": integration}
    assert state.found_integrations == set()


def test_asking_twice_is_refused(make_app: Any) -> None:
    logs = MelodyLogs()
    make_app(logs)
    logs.use(Post())
    with pytest.raises(ConfigurationError, match='"post" is connected on "host" already'):
        logs.use(Post())
    assert len(Post.connected) == 1


def test_one_object_serves_several_apps(make_app: Any) -> None:
    logs = MelodyLogs()
    logs.use(Post())
    first, second = make_app(logs), make_app(logs)
    assert Post.connected == [first, second]


@pytest.mark.usefixtures("findable")
def test_a_library_is_found_when_it_is_initialised_after_us(make_app: Any) -> None:
    app = make_app()
    enter(app)
    assert Post.connected == []
    app.extensions["post"] = object()
    for _ in range(3):
        state = enter(app)
    assert Post.connected == [app]
    assert state.found_integrations == {"post"}


@pytest.mark.usefixtures("findable")
def test_what_is_asked_for_takes_the_place_of_what_was_found(make_app: Any) -> None:
    logs = MelodyLogs()
    app = make_app(logs)
    app.extensions["post"] = object()
    enter(app)
    integration = Post()
    logs.use(integration)
    assert Post.connected == [app]
    assert (enter(app).integrations["post"], enter(app).found_integrations) == (integration, set())


@pytest.mark.usefixtures("findable")
def test_nothing_is_found_where_the_host_does_not_want_it(make_app: Any) -> None:
    app = make_app(MELODY_LOGS_AUTO_INTEGRATE=False)
    app.extensions["post"] = object()
    LoginManager(app)
    assert enter(app).integrations == {}


@pytest.mark.usefixtures("findable")
def test_what_cannot_be_connected_is_a_note_when_found_and_goes_away_when_asked_for(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.extensions["post"] = object()
    with caplog.at_level(logging.WARNING, "melody_logs"):
        problems = enter(app).integration_problems
    assert problems == {
        "broken": "KeyError: 'POST_SERVER'",
        "missing": 'Missing() needs "no-such-library", which is not installed: '
        'pip install "melody-logs[no-such-extra]"',
        "old": problems["old"],
    }
    assert problems["old"].startswith('Old() needs "flask" 999 or newer; ')
    assert caplog.records == []


@pytest.mark.parametrize(("integration", "message"), [(Missing(), "not installed"), (Old(), "999 or newer")])
def test_a_library_that_is_missing_or_too_old_is_refused_by_name(
    make_app: Any, integration: Integration, message: str
) -> None:
    logs = MelodyLogs()
    make_app(logs)
    with pytest.raises(ConfigurationError, match=message):
        logs.use(integration)
    early = MelodyLogs()
    early.use(integration)
    app = Flask("early")
    app.config.update(SECRET_KEY="key", SQLALCHEMY_DATABASE_URI="sqlite://")
    with pytest.raises(ConfigurationError, match=message):
        early.init_app(app)


def test_a_library_may_be_published_under_two_names() -> None:
    class Renamed(Missing):
        other_distributions = ("neither", "flask")

    assert Renamed().find_version() is not None
    Renamed().check(Flask("host"))
    assert Missing().find_version() is None


@pytest.mark.usefixtures("findable")
def test_requests_that_come_at_once_connect_a_library_once(make_app: Any) -> None:
    app = make_app()
    app.extensions["post"] = object()
    together = threading.Barrier(8)

    def visit() -> None:
        together.wait(10)
        enter(app)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Post.connected == [app]


def test_without_a_context_the_only_app_that_has_it_is_meant(make_app: Any) -> None:
    class Rare(Post):
        name = "rare"

    logs = MelodyLogs()
    first, bare = make_app(logs), make_app()
    logs.use(Rare())
    assert state_with("rare") is state_of(first)
    with bare.app_context():
        assert state_with("rare") is None
    second = make_app(logs)
    assert state_with("rare") is None
    with second.app_context():
        assert state_with("rare") is state_of(second)


def test_an_error_of_ours_in_a_receiver_stays_with_us(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    LoginManager(app).user_loader(lambda user_id: None)

    @app.post("/enter")
    def enter_here() -> str:
        account = UserMixin()
        account.id = "7"
        login_user(account)
        return "in"

    def fail(*given: Any, **more: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Recorder, "note_sign_in", fail)
    assert app.test_client().post("/enter").text == "in"


@pytest.mark.usefixtures("findable")
def test_a_stranger_under_the_name_of_an_extension_is_left_alone(make_app: Any) -> None:
    app = make_app()
    app.extensions["security"] = 4711
    app.login_manager = None
    assert enter(app).integrations == {}
    assert enter(app).integration_problems.keys().isdisjoint({"flask-security", "flask-login"})


def test_no_library_of_a_host_is_imported_by_us() -> None:
    libraries = (
        # Tokens of the API are made with Authlib, so only its client for Flask is asked for.
        *("flask_login", "flask_security", "authlib.integrations.flask_client", "flask_jwt_extended", "flask_httpauth"),
        *("flask_mail", "flask_mailman", "flask_mailing", "boto3", "botocore", "sendgrid", "twilio"),
    )
    code = f"""
import sys
import melody_logs, melody_logs.integrations
from flask import Flask
app = Flask("host")
app.config.update(SECRET_KEY="key", SQLALCHEMY_DATABASE_URI="sqlite://", MELODY_LOGS_ENABLE_SIGN_IN_LOG=True)
melody_logs.MelodyLogs(app)
with app.app_context():
    pass
print([name for name in {libraries!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
