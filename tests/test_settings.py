"""Settings: one table, checked once, with errors that name the key, the value and what is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from melody_logs.errors import ConfigurationError
from melody_logs.setting_types import RetentionPolicy
from melody_logs.settings import Settings, describe


def read(**config: Any) -> Settings:
    return Settings.from_config({f"MELODY_LOGS_{key}": value for key, value in config.items()})


def test_everything_is_off_by_default() -> None:
    settings = Settings.from_config({"SECRET_KEY": "x", "OTHER_KEY": 1})
    assert not any(settings.is_enabled(kind) for kind in ("email", "sms", "sign-in"))
    assert settings.retention == ()
    assert settings.clean_days == 30


def test_unknown_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_CLEAN_DAY" .*did you mean "MELODY_LOGS_CLEAN_DAYS"'):
        read(CLEAN_DAY=30)


@pytest.mark.parametrize("days", [0, -1, "0", 1.5, True, None, "soon"])
def test_retention_that_would_delete_everything_is_refused(days: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(RETENTION=[{"kind": "email", "days": days}])
    assert '"MELODY_LOGS_RETENTION"' in str(caught.value)
    assert repr(days) in str(caught.value)
    assert "from 1 to" in str(caught.value)


@pytest.mark.parametrize(
    "policies",
    [
        {"kind": "email", "days": 3},
        [{"kind": "fax", "days": 3}],
        [{"kind": "email"}],
        [{"kind": "email", "days": 3, "outcome": "x"}],
        [{"kind": "email", "days": 3}, {"kind": "email", "days": 4}],
        "[{",
    ],
)
def test_malformed_policies_are_refused(policies: Any) -> None:
    with pytest.raises(ConfigurationError, match="MELODY_LOGS_RETENTION"):
        read(RETENTION=policies)


#: Every key as text, as the environment gives it.
#: Made for this test; nobody has its private half.
SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4DCKh5fgR2oHzXF+7EpoUDe6H2+sDYxvFeTrsDWt9aaLxXBtJRRkNLjHJ4+o5KFrZj7B4YXrYkZW4P63"
    "JwXJ3g=="
)
TEXTS = dict(
    ENABLE_EMAIL_LOG="yes",
    ENABLE_SMS_LOG="0",
    ENABLE_SIGN_IN_LOG="True",
    DATABASE_URI="sqlite:////tmp/x.db",
    BIND_KEY="logs",
    SCHEMA="audit",
    KEY="secret",
    AUTO_INTEGRATE="no",
    WRITER="direct",
    ON_FAILURE="Fail_Closed",
    SPOOL_DIR="/var/spool/app",
    SPOOL_MAX_MEGABYTES="64",
    SPOOL_SYNCHRONOUS="full",
    DIRECT_TIMEOUT_MILLISECONDS="100",
    DRAIN_IN_PROCESS="off",
    DRAIN_INTERVAL_SECONDS="0.5",
    FLOOD_WHOLE_PER_MINUTE="0",
    BODY_MAX_KILOBYTES="16",
    PENDING_MINUTES="5",
    CLEAN_DAYS=" 7 ",
    RETENTION='[{"kind": "sign-in", "days": "365"}]',
    GEOIP_DATABASE="/a/City.mmdb, /a/ASN.mmdb",
    MAXMIND_ACCOUNT_ID="123456",
    MAXMIND_LICENSE_KEY="abcdefgh12345678",
    LOCATION_HEADERS="Cloudflare",
    ADMIN_PREFIX="/logs",
    BASE_TEMPLATE="layout.html",
    STYLESHEET="logs.css",
    CONTENT_SECURITY_POLICY='{"style-src": "https://cdn.example https://fonts.example"}',
    API_PREFIX="/api/logs",
    TOKEN_PREFIX="/oauth",
    HEALTH_TOKEN="0123456789abcdef",
    TOKEN_LIFETIME_SECONDS="600",
    DELIVERY_PREFIX="/hooks",
    PUBLIC_URL="https://app.example/shop",
    TWILIO_AUTH_TOKEN="0123456789abcdef, fedcba9876543210",
    SENDGRID_PUBLIC_KEY=SENDGRID_KEY,
    POSTMARK_CREDENTIALS="postmark:a-long:password",
    MAILGUN_SIGNING_KEY="key-0123456789abcdef",
    SES_TOPIC_ARN="arn:aws:sns:eu-west-1:123456789012:mail, arn:aws-cn:sns:cn-north-1:123456789012:mail.fifo",
)


def test_every_key_is_accepted_as_text_of_the_environment() -> None:
    settings = read(**TEXTS)
    assert settings.fails_closed
    assert settings.enable_email_log and settings.enable_sign_in_log and not settings.enable_sms_log
    assert settings.retention == (RetentionPolicy("sign-in", 365),)
    assert settings.geoip_database == ("/a/City.mmdb", "/a/ASN.mmdb")
    assert (settings.spool_synchronous, settings.location_headers) == ("FULL", "cloudflare")
    assert settings.content_security_policy == (("style-src", ("https://cdn.example", "https://fonts.example")),)
    assert settings.twilio_auth_token == ("0123456789abcdef", "fedcba9876543210")
    assert (settings.takes_reports, len(settings.ses_topic_arn)) == (True, 2)
    assert (settings.clean_days, settings.drain_interval_seconds, settings.flood_whole_per_minute) == (7, 0.5, 0)
    assert len(describe()) == 41, "a new key needs its text form here"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ENABLE_EMAIL_LOG", "perhaps"),
        ("ENABLE_EMAIL_LOG", 2),
        ("WRITER", "queue"),
        ("ON_FAILURE", "raise"),
        ("SCHEMA", 'logs"; drop'),
        ("ADMIN_PREFIX", "admin"),
        ("ADMIN_PREFIX", "/"),
        ("API_PREFIX", "/api/<id>"),
        ("TOKEN_PREFIX", "/oauth/"),
        ("CLEAN_DAYS", 0),
        ("CLEAN_DAYS", "9" * 30),
        ("DRAIN_INTERVAL_SECONDS", "nan"),
        ("SPOOL_DIR", b"/x"),
        ("GEOIP_DATABASE", 5),
        ("LOCATION_HEADERS", "akamai"),
        ("DELIVERY_PREFIX", "/webhooks/"),
        ("PUBLIC_URL", "https://app.example/"),
        ("PUBLIC_URL", "app.example"),
        ("SENDGRID_PUBLIC_KEY", "MFkwEwYHKoZIzj0CAQYI"),
        ("SENDGRID_PUBLIC_KEY", b"x"),
        ("SES_TOPIC_ARN", "arn:aws:sqs:eu-west-1:123456789012:mail"),
        ("SES_TOPIC_ARN", "arn:aws:sns:evil.example/:123456789012:mail"),
        ("BASE_TEMPLATE", b"layout.html"),
        ("BASE_TEMPLATE", ["layout.html"]),
        ("STYLESHEET", "//cdn.example/logs.css"),
        ("STYLESHEET", "javascript:alert(1)"),
        ("STYLESHEET", "../secret.css"),
        ("STYLESHEET", "https://cdn.example; script-src *"),
        ("STYLESHEET", "https://表.example/logs.css"),
        ("STYLESHEET", "https://*/logs.css"),
        ("STYLESHEET", 5),
        ("CONTENT_SECURITY_POLICY", "https://cdn.example"),
        ("CONTENT_SECURITY_POLICY", {"default-src": "*"}),
        ("CONTENT_SECURITY_POLICY", {"style-src": 5}),
        ("CONTENT_SECURITY_POLICY", {"style-src": ["https://cdn.example; script-src *"]}),
        ("CONTENT_SECURITY_POLICY", {"style-src": ["https://a.example,https://b.example"]}),
        ("CONTENT_SECURITY_POLICY", {"script-src": "'unsafe-inline'"}),
        ("CONTENT_SECURITY_POLICY", {"script-src": ["'self'", "'UNSAFE-EVAL'"]}),
        *[
            ("CONTENT_SECURITY_POLICY", {"script-src": source})
            for source in ("*", "https:", "HTTP://*", "*:*", "https://*:443/", "data:", "blob:")
        ],
    ],
)
def test_wrong_value_is_named_with_what_is_accepted(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{key: value})
    message = str(caught.value)
    assert f'"MELODY_LOGS_{key}" is {value!r}; accepted: ' in message


def test_secret_values_are_not_repeated_in_errors() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(KEY=b"hunter2")
    assert "hunter2" not in str(caught.value)
    for unfit in ("hunter2", "hunter2 with a space", "hunter2\u00e4hunter2hunter2", True, b"hunter2hunter2hunter2"):
        with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_HEALTH_TOKEN".*accepted: 16 to 512') as caught:
            read(HEALTH_TOKEN=unfit)
        assert "hunter2" not in str(caught.value)


def test_environment_read_by_flask_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """``from_prefixed_env`` turns what reads as JSON into numbers and lists."""
    for key, text in {
        "ENABLE_EMAIL_LOG": "1",
        "ENABLE_SMS_LOG": "0",
        "ENABLE_SIGN_IN_LOG": "yes",
        "KEY": "20261123",
        "CLEAN_DAYS": "7",
        "RETENTION": '[{"kind": "sms", "days": 3}]',
    }.items():
        monkeypatch.setenv(f"SHOP_MELODY_LOGS_{key}", text)
    app = Flask("host")
    app.config.from_prefixed_env("SHOP")
    settings = Settings.from_config(app.config)
    assert (settings.enable_email_log, settings.enable_sms_log, settings.enable_sign_in_log) == (True, False, True)
    assert (settings.key, settings.clean_days, settings.retention[0].days) == ("20261123", 7, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TWILIO_AUTH_TOKEN", "short"),
        ("TWILIO_AUTH_TOKEN", ["0123456789abcdef", 5]),
        ("POSTMARK_CREDENTIALS", "nobody"),
        ("POSTMARK_CREDENTIALS", "user:short"),
        ("MAILGUN_SIGNING_KEY", "with spaces in between"),
    ],
)
def test_wrong_secret_is_refused_without_being_shown(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f'"MELODY_LOGS_{key}" is a value that is not shown; accepted: one'):
        read(**{key: value})
