"""The pytest plugin in the test runs of a small real host, each in a process of its own, as its developers run them."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.docs import fenced, page

pytest_plugins = ["pytester"]

HOST = """
    from flask import Flask, request, session
    from melody_logs import MelodyLogs
    from melody_logs.signals import email_sent

    logs = MelodyLogs()
    logs.watch_sign_in("login", identity="email")

    def create_app():
        app = Flask("shop")
        app.config.update(
            SECRET_KEY="test",
            TESTING=True,
            SQLALCHEMY_DATABASE_URI="sqlite://",
            MELODY_LOGS_ENABLE_EMAIL_LOG=True,
            MELODY_LOGS_ENABLE_SMS_LOG=True,
            MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        )
        logs.init_app(app)

        @app.post("/login")
        def login():
            if request.form["password"] != "right":
                return "no", 401
            session["user_id"] = 7
            return "welcome"

        @app.post("/forgot")
        def forgot():
            with logs.sending_email(receiver="ann@example.org", subject="Reset", content="a link") as sending:
                sending.sent("250 OK", provider_message_id="m-1")
            return "sent"

        return app
"""
CONFTEST = """
    import pytest
    from shop import create_app

    @pytest.fixture
    def app():
        return create_app()

    @pytest.fixture
    def client(app):
        return app.test_client()
"""
SECRET = "7xK9-Pq/42+tz<Z"


@pytest.fixture
def host(pytester: pytest.Pytester) -> pytest.Pytester:
    """The folder of a host whose logs lie beside its database in memory, and whose warnings are errors."""
    pytester.makepyfile(shop=dedent(HOST), conftest=dedent(CONFTEST))
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider -p no:valkey\n")
    return pytester


def run(host: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a test file of the host with the plugin that the installation brings."""
    host.makepyfile(test_shop=dedent(test))
    return host.runpytest_subprocess(*options, timeout=60)


def test_entries_of_each_kind_are_there_at_once(host: pytest.Pytester) -> None:
    result = run(
        host,
        """
        import pytest

        def test_it(client, app, melody_logs_entries):
            from shop import logs
            client.post("/login", data={"email": "ann@example.org", "password": "wrong"})
            assert melody_logs_entries.last.outcome == "failure"
            client.post("/login", data={"email": "ann@example.org", "password": "right"})
            client.post("/forgot")
            with app.app_context():
                logs.record_sms(receiver="+16471231111", content="Your code is 481516", success=True)
            entries = melody_logs_entries
            assert [entry.outcome for entry in entries.sign_ins] == ["failure", "success"]
            assert entries.sign_ins[0].identity == "ann@example.org" and entries.sign_ins[0].ip == "127.0.0.1"
            (email,) = entries.emails
            assert (email.status, email.subject, email.response) == ("sent", "Reset", "250 OK")
            assert (email.provider_message_id, email.content, email.template) == ("m-1", "a link", None)
            (text,) = entries.texts
            assert "481516" not in text.content and text is entries.last
            assert [entry.kind for entry in entries] == ["sign-in", "sign-in", "email", "sms"] and len(entries) == 4
            with pytest.raises(AttributeError, match='has no "colour"; it has content,'):
                email.colour
            entries.clear()
            assert not entries
            with pytest.raises(AssertionError, match="is the kind enabled"):
                entries.last

        def test_the_next_one_begins_empty(client, melody_logs_entries):
            assert melody_logs_entries.all == []
        """,
    )
    result.assert_outcomes(passed=2)


def test_two_apps_and_threads_are_seen(host: pytest.Pytester) -> None:
    result = run(
        host,
        """
        import threading
        from flask import Flask
        from shop import create_app
        from melody_logs import MelodyLogs

        def test_it(app, melody_logs_entries):
            other, logs = create_app(), MelodyLogs()
            plain = Flask("plain")
            plain.config.update(SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="sqlite://", MELODY_LOGS_ENABLE_SMS_LOG=True)
            logs.init_app(plain)

            def record():
                for _ in range(50):
                    with plain.app_context():
                        logs.record_sms(receiver="+16471231111", success=True)

            threads = [threading.Thread(target=record) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            other.test_client().post("/login", data={"email": "a@example.org", "password": "x"})
            assert (len(melody_logs_entries.texts), len(melody_logs_entries.sign_ins)) == (200, 1)
        """,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("fields", "field", "form"),
    [
        ("content='Hello ' + secret", "content", "as it is"),
        ("content='Hello', subject='For ' + secret", "subject", "as it is"),
        ("content='Hello', response='550 refused ' + secret", "response", "as it is"),
        ("content='https://shop.example/a?b=' + quote(secret, safe='')", "content", "percent-encoded"),
        ("content='<p>' + escape(secret) + '</p>'", "content", "HTML-escaped"),
        ("content='<p>' + escape(quote(secret)) + '</p>'", "content", "percent-encoded"),
        ("content=base64.b64encode(b'Hello, ' + secret.encode() + b', bye').decode()", "content", "base64"),
        ("content=base64.encodebytes(b'Hello ' * 9 + secret.encode()).decode()", "content", "base64"),
        (
            "content=quopri.encodestring(('a b=' * 17 + secret).encode(), quotetabs=True).decode()",
            "content",
            "quoted-printable",
        ),
        ("content='Hello', template=secret", "template", "as it is"),
    ],
)
def test_secret_that_is_stored_fails_the_test_and_is_not_shown(
    host: pytest.Pytester, fields: str, field: str, form: str
) -> None:
    """Without the redactor, as if it had a hole: what it would remove is told where it stands."""
    result = run(
        host,
        f"""
        import base64, quopri
        from html import escape
        from urllib.parse import quote
        from melody_logs.recording import messages
        from melody_logs.recording.redaction import Redacted
        from shop import logs

        def test_it(app, melody_logs_entries, monkeypatch, request):
            secret = request.config.rootpath.joinpath("secret").read_text()
            for name in ("redact", "redact_response"):
                monkeypatch.setattr(messages, name, lambda text, *a, **k: Redacted(text, 0))
            melody_logs_entries.knows_secret("another secret", secret)
            with app.app_context():
                logs.record_email(receiver="ann@example.org", success=True, {fields})
        """,
        *_with_secret(host),
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f'*email entry *: "{field}" holds secret 2 ({form})*', "*Hand them over as secrets=*"])
    assert SECRET not in result.stdout.str() and result.ret == 1


def test_secret_in_a_sign_in_is_found(host: pytest.Pytester) -> None:
    result = run(
        host,
        """
        def test_it(client, melody_logs_entries):
            melody_logs_entries.knows_secret("4815", "correct horse battery")
            client.post("/login?x=1", data={"email": "a@example.org", "password": "x"},
                        headers={"Referer": "https://a.example/4815", "User-Agent": "correct horse battery"})
            client.post("/login", data={"email": "a@example.org", "password": "x"}, headers={"User-Agent": "148150"})
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['*"user_agent" holds secret 2 (as it is)', '*"referrer" holds secret 1 (as it is)'])
    # On a CI server, pytest says it again in its summary.
    assert len({line for line in result.outlines if "holds secret" in line}) == 2, "a longer number is another one"


def test_secrets_that_are_handed_over_fail_nothing(host: pytest.Pytester) -> None:
    result = run(
        host,
        """
        import base64
        from html import escape
        from urllib.parse import quote
        from shop import logs

        def test_it(app, melody_logs_entries, request):
            secret = request.config.rootpath.joinpath("secret").read_text()
            forms = [secret, quote(secret, safe=""), escape(secret), base64.b64encode(secret.encode()).decode()]
            with app.app_context():
                for form in forms:
                    logs.record_email(receiver="a@example.org", content=f"Hello {form} bye", secrets=[secret])
            melody_logs_entries.knows_secret(secret)
            assert len(melody_logs_entries.emails) == 4
        """,
        *_with_secret(host),
    )
    result.assert_outcomes(passed=1)


def test_too_short_a_secret_is_refused(host: pytest.Pytester) -> None:
    result = run(
        host,
        """
        import pytest

        def test_it(melody_logs_entries):
            with pytest.raises(ValueError, match="less than 4 characters"):
                melody_logs_entries.knows_secret("abc")
        """,
    )
    result.assert_outcomes(passed=1)


def test_test_run_that_uses_no_fixture_loads_nothing(pytester: pytest.Pytester) -> None:
    """The plugin is in every test run of an environment: it must cost nothing, and measure nothing too early."""
    pytester.makepyfile(
        test_plain="""
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("melody_logs")
            loaded = {name for name in sys.modules if name.partition(".")[0] == "melody_logs"}
            allowed = {"", ".errors", ".testing", ".testing.plugin"}
            assert loaded == {"melody_logs" + name for name in allowed}
            assert not {"flask", "sqlalchemy", "celery"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:valkey", timeout=60).assert_outcomes(passed=1)


def test_fixture_is_listed_with_what_it_does(host: pytest.Pytester) -> None:
    listed = run(host, "", "--fixtures")
    listed.stdout.fnmatch_lines(["melody_logs_entries*", "*and a failure if it holds a secret that the test knows*"])


def test_tests_of_the_documentation_pass(host: pytest.Pytester) -> None:
    first, second, tables = fenced(page("testing.md"), "python")
    outbox = """
    import pytest

    @pytest.fixture
    def outbox():
        class Outbox:
            def last_link(self):
                return "https://shop.example/reset/6f1e0b8a94c74d4a"
        return Outbox()

    def test_tables(app, client):
        from shop import logs
        logs.admin_access(lambda: "read")
        {}
        with app.app_context():
            logs.record_sms(receiver="+16471231111", success=True)
        assert "+16471231111" in client.get("/admin/logs/sms").text
    """
    result = run(host, f"{dedent(outbox).format(tables)}\n{first}\n{second}")
    result.assert_outcomes(passed=3)


def _with_secret(host: pytest.Pytester) -> tuple[str, ...]:
    # In a file: pytest shows the source of a test that fails.
    host.path.joinpath("secret").write_text(SECRET)
    return ("--showlocals",)
