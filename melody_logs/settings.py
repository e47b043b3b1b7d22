"""Every ``MELODY_LOGS_*`` key in one table, read and checked once into a frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from . import setting_types as types
from .errors import ConfigurationError
from .setting_types import RetentionPolicy

PREFIX = "MELODY_LOGS_"
#: What each provider proves its calls with: its endpoint is there where that is set.
_PROOFS = ("twilio_auth_token", "sendgrid_public_key", "postmark_credentials", "mailgun_signing_key", "ses_topic_arn")
_SECRET = (
    "key",
    "database_uri",
    "health_token",
    "maxmind_license_key",
    "twilio_auth_token",
    "postmark_credentials",
    "mailgun_signing_key",
)


def _key(default: Any, parse: Callable[[Any], Any], help: str, unit: str = "") -> Any:
    return dataclasses.field(default=default, metadata={"parse": parse, "help": help, "unit": unit})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The checked settings of one app; the field ``spool_dir`` is the key ``MELODY_LOGS_SPOOL_DIR``, and so on."""

    enable_email_log: bool = _key(False, types.boolean, "Record outgoing email.")
    enable_sms_log: bool = _key(False, types.boolean, "Record outgoing text messages.")
    enable_sign_in_log: bool = _key(False, types.boolean, "Record sign-in attempts.")

    database_uri: str | None = _key(
        None, types.optional_text, "Database of the logs; empty: the bind, else the host's (SQLite: a file beside it)."
    )
    bind_key: str | None = _key(None, types.optional_text, "Flask-SQLAlchemy bind that holds the logs.")
    schema: str = _key("melody_logs", types.identifier, "PostgreSQL schema of the log tables.")
    key: str | None = _key(None, types.optional_text, "Encrypts our secrets; empty: derived from SECRET_KEY.")

    auto_integrate: bool = _key(True, types.boolean, "Find the libraries that the app uses, and connect them.")

    writer: str = _key("spool", types.one_of("spool", "direct"), "spool, or direct: written when record_* returns.")
    on_failure: str = _key(
        "continue",
        types.one_of("continue", "fail_closed"),
        "If an entry cannot be made durable: go on and say so, or raise LogUnavailable before the side effect.",
    )
    spool_dir: str | None = _key(None, types.optional_text, "Folder of the spool; empty: <instance>/melody_logs/spool.")
    spool_max_megabytes: int = _key(256, types.integer(1, 1_048_576), "Largest size of one process's spool.", "MB")
    spool_synchronous: str = _key("NORMAL", types.one_of("NORMAL", "FULL"), "FULL also survives a power cut.")
    direct_timeout_milliseconds: int = _key(
        250, types.integer(1, 60_000), "Longest wait of the direct writer before it leaves the entry spooled.", "ms"
    )
    drain_in_process: bool = _key(True, types.boolean, "Drain by a thread of each web process.")
    drain_interval_seconds: float = _key(1.0, types.number(0.01, 60), "Pause of the drain between batches.", "s")

    flood_whole_per_minute: int = _key(
        20, types.integer(0, 1_000_000), "Like failures a minute kept whole; more are counted in one row. 0: all whole."
    )
    body_max_kilobytes: int = _key(256, types.integer(0, 16_384), "Longer message bodies are cut.", "KB")
    pending_minutes: int = _key(15, types.integer(1, 10_080), "A message pending longer becomes unknown.", "minutes")
    clean_days: int = _key(30, types.integer(1, 36_500), "Age from which the Clean button deletes.", "days")
    retention: tuple[RetentionPolicy, ...] = _key(
        (), types.retention, "Policies by kind; empty keeps everything.", "days"
    )

    geoip_database: tuple[str, ...] = _key((), types.paths, "GeoIP files (City, Country, ASN); empty: bundled table.")
    maxmind_account_id: str | None = _key(
        None, types.optional_text, "MaxMind account whose location files are downloaded by geoip update."
    )
    maxmind_license_key: str | None = _key(None, types.optional_text, "Licence key of that account.")
    location_headers: str | None = _key(
        None,
        types.optional_one_of("cloudflare", "cloudfront", "vercel", "app_engine"),
        "CDN whose location headers are trusted; empty: none.",
    )

    admin_prefix: str = _key("/admin/logs", types.url_prefix, "Where the pages are.")
    base_template: str | None = _key(None, types.optional_text, "Layout that the pages stand in; empty: ours.")
    stylesheet: str | None = _key(None, types.stylesheet, "Stylesheet that is loaded after ours.")
    content_security_policy: tuple[tuple[str, tuple[str, ...]], ...] = _key(
        (), types.content_sources, "Sources that your layout needs, by directive."
    )
    api_prefix: str = _key("/api/v1/logs", types.url_prefix, "Where the API is.")
    token_prefix: str = _key("/oauth2/v1", types.url_prefix, "Where the token endpoint is.")
    host: str | None = _key(
        None, types.optional_host, "Host of pages and API in an app with host_matching=True; else empty."
    )
    health_token: str | None = _key(
        None, types.optional_token, "Bearer token of the probe and the metrics; empty: neither is there."
    )
    token_lifetime_seconds: int = _key(900, types.integer(60, 86_400), "Life of an access token.", "s")

    delivery_prefix: str = _key("/webhooks/melody-logs", types.url_prefix, "Where providers report deliveries.")
    public_url: str | None = _key(
        None,
        types.optional_base_url,
        "Address of the app as Twilio sees it, which it signs; empty: that of the request.",
    )
    twilio_auth_token: tuple[str, ...] = _key((), types.secrets, "Proves Twilio's reports; empty: no endpoint.")
    sendgrid_public_key: tuple[str, ...] = _key((), types.public_keys, "Proves SendGrid's reports; empty: no endpoint.")
    postmark_credentials: tuple[str, ...] = _key((), types.credentials, "Prove Postmark's reports; empty: no endpoint.")
    mailgun_signing_key: tuple[str, ...] = _key((), types.secrets, "Proves Mailgun's reports; empty: no endpoint.")
    ses_topic_arn: tuple[str, ...] = _key((), types.topics, "SNS topics that report for SES; empty: no endpoint.")

    def is_enabled(self, kind: str) -> bool:
        """Say whether entries of *kind* (``email``, ``sms`` or ``sign-in``) are recorded."""
        return bool(getattr(self, f"enable_{kind.replace('-', '_')}_log"))

    @property
    def fails_closed(self) -> bool:
        """Say whether the app wants nothing done that is not logged."""
        return self.on_failure == "fail_closed"

    @property
    def takes_reports(self) -> bool:
        """Say whether there is an endpoint for the reports of a provider."""
        return any(getattr(self, name) for name in _PROOFS)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read and check every ``MELODY_LOGS_*`` key of a Flask config.

        Text is accepted for each key, as it comes from the environment.

        :raise ConfigurationError: for an unknown key, or a value that is not accepted; it names all three.
        """
        fields = {PREFIX + field.name.upper(): field for field in dataclasses.fields(cls)}
        values = {}
        for key, value in config.items():
            if not key.startswith(PREFIX):
                continue
            field = fields.get(key)
            if field is None:
                raise ConfigurationError(f'"{key}" is not a setting of melody_logs; {_nearest(key, list(fields))}')
            try:
                values[field.name] = field.metadata["parse"](value)
            except ValueError as error:
                shown = "a value that is not shown" if field.name in _SECRET else repr(value)
                raise ConfigurationError(f'"{key}" is {shown}; accepted: {error}.') from None
        return cls(**values)


def describe() -> list[tuple[str, Any, str, str]]:
    """List every key as (name, default, unit, help), in the order of the table."""
    return [
        (PREFIX + field.name.upper(), field.default, field.metadata["unit"], field.metadata["help"])
        for field in dataclasses.fields(Settings)
    ]


def _nearest(key: str, known: list[str]) -> str:
    import difflib

    matches = difflib.get_close_matches(key, known, n=1)
    return f'did you mean "{matches[0]}"?' if matches else f"the settings are {', '.join(known)}."
