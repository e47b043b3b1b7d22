"""The extension object: what a host sees of melody_logs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, Response, has_app_context

from . import admin, deliveries
from .api import register as register_api
from .cli import create_group
from .errors import ConfigurationError, NotInitialisedError
from .integrations import host_signals, sign_in_views, wiring
from .integrations.host_migrations import hide_tables
from .integrations.host_routes import refuse_collisions, routes_on, watch_collisions
from .integrations.integration import Integration
from .integrations.sign_in_views import Reader, WatchedView
from .monitoring import routes as monitoring
from .recording.flows import current_flow, flow_of, use_flow
from .recording.guard import guarded
from .recording.outgoing import announced, describing
from .recording.seams import Access, Fields, Seams, UserId, UserLabels
from .recording.sending import Sending
from .settings import Settings
from .state import EXTENSION_KEY, State, make_state, state_of
from .vocabulary import Kind


class MelodyLogs:
    """Keeps the email, SMS and sign-in logs of Flask apps.

    One object may serve several apps; what belongs to one app is in its ``extensions``.

    :param app: initialises this app at once.
    :param db: the host's Flask-SQLAlchemy.
    """

    def __init__(self, app: Flask | None = None, db: Any = None) -> None:
        self._seams = Seams()
        self._integrations: list[Integration] = []
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        if app is not None:
            self.init_app(app, db)

    def init_app(self, app: Flask, db: Any = None) -> None:
        """Read the settings of *app*, connect to its requests and signals, and add the pages, the API and the commands.

        Nothing is recorded until a kind is enabled. Later changes of the configuration are not seen.

        :param db: the host's Flask-SQLAlchemy, already initialised on *app*; the logs live beside its data unless
            ``MELODY_LOGS_DATABASE_URI`` or ``MELODY_LOGS_BIND_KEY`` says otherwise.
        :raise ConfigurationError: if a setting cannot work, or melody_logs is on this app already.
        """
        if EXTENSION_KEY in app.extensions:
            raise ConfigurationError(f'melody_logs is already initialised on "{app.name}": call init_app once')
        settings = Settings.from_config(app.config)
        refuse_collisions(app, settings)
        state = make_state(app, db, settings, self._seams)
        with routes_on(app, settings.host):
            app.extensions[EXTENSION_KEY] = state
            self._apps.add(app)
            app.before_request(guarded(state.drain_thread.ensure_started))
            sign_in_views.install(app, state.recorder, state.found_views, state.answer_watchers)
            state.receivers.extend(host_signals.connect(app, state.recorder, MESSAGE_FIELDS, SIGN_IN_FIELDS))
            app.register_blueprint(admin.create_blueprint(settings))
            app.register_blueprint(monitoring.create_blueprint(settings))
            register_api(app, settings)
            deliveries.register(app, settings)
        app.cli.add_command(create_group())
        hide_tables(app)
        watch_collisions(app, settings)
        wiring.install(app, state, self._integrations)

    # -- What the host hands in -----------------------------------------------------------------------------------

    def admin_access(self, function: Callable[[], Access]) -> Callable[[], Access]:
        """Decorate the function that says what the current visitor may do in the pages.

        It returns None (nothing), ``"read"``, ``"write"`` (everything), a set of permissions, or a response, such as a
        redirect to the sign-in page, which is sent as it is.
        """
        self._seams.admin_access = function
        return function

    def transform(self, function: Callable[[str, Fields], Fields | None]) -> Callable[[str, Fields], Fields | None]:
        """Decorate a function that changes an entry's fields before it is cleaned and redacted.

        It gets the kind and a dict of the keywords of ``record_*``, and returns a dict. If it raises, the entry is kept
        as it was.
        """
        self._seams.transform = function
        return function

    def exclude(self, function: Callable[[str, Fields], bool]) -> Callable[[str, Fields], bool]:
        """Decorate a function that says whether an entry is left out. If it raises, the entry is kept."""
        self._seams.exclude = function
        return function

    def user_label(
        self, function: Callable[[Sequence[UserId]], UserLabels]
    ) -> Callable[[Sequence[UserId]], UserLabels]:
        """Decorate the function that says whom user ids mean, for the pages.

        It is called once a page with the list of the distinct ids on it, as ``record_*`` got them, and returns a dict
        from id to text or to :class:`UserLabel`. An id that it leaves out stays an id. If it raises, the page shows
        plain ids.
        """
        self._seams.user_label = function
        return function

    def watch_sign_in(
        self,
        endpoint: str,
        *,
        identity: Reader = "email",
        event: str = "sign_in",
        method: str | None = "password",
        user_id: Callable[[], Any] | None = None,
        outcome: Callable[[Response], Any] | None = None,
        reason: Callable[[Response], Any] | None = None,
    ) -> None:
        """Record every POST to a login view of the host, without touching the view.

        Without *outcome*, an attempt succeeded if the session got a user, or the answer is neither an error, nor a
        form shown again, nor a redirect back to the view.

        :param endpoint: the view's endpoint, such as ``"auth.login"``.
        :param identity: the name of the form or JSON field, or a function that returns the identity as typed.
        :param event: one of the vocabulary's events, such as ``"password_reset"`` for that view.
        :param user_id: returns the id of the user who signed in; by default the session's.
        :param outcome: gets the response and returns a bool or one of the vocabulary's outcomes.
        :param reason: gets the response of an attempt that did not succeed and returns why.
        """
        self._seams.watched_views[endpoint] = WatchedView(
            endpoint=endpoint,
            identity=identity,
            event=event,
            method=method,
            user_id=user_id,
            outcome=outcome,
            reason=reason,
        )

    def use(self, *integrations: Integration) -> None:
        """Connect libraries of the host by name; those that ``MELODY_LOGS_AUTO_INTEGRATE`` finds need no call.

        An integration given here takes the place of the one that would be found. Before ``init_app`` it is kept for the
        apps to come.

        :raise ConfigurationError: if the library is missing, too old, or set up so that nothing could be recorded.
        """
        self._integrations.extend(integrations)
        for app in list(self._apps):
            for integration in integrations:
                wiring.connect(app, state_of(app), integration)

    def describing(self, **facts: Any) -> AbstractContextManager[None]:
        """Say what the messages are that a connected library sends inside the block.

        :param facts: keywords of :meth:`record_email`, such as *purpose*, *user_id*, *flow_id*, and *secrets*: the
            exact codes, links and tokens in the message, which are removed in all their encodings before anything is
            written.
        :raise TypeError: for a keyword that a message does not have.
        """
        return describing(**_known_fields("describing", facts))

    def flow(self) -> str | None:
        """Give the id that joins the entries of this request, and of those that follow; None outside a request.

        Hand it to a job that sends the code, as *flow_id*, or put it into a token that you sign.
        """
        return current_flow()

    def use_flow(self, flow_id: object) -> None:
        """Let what this request is still to record belong to a flow that you know, and keep it in the session.

        Take it from what you have signed or stored, never from a client in the clear. Outside a request it is in vain.
        """
        use_flow(flow_id)

    def flow_of(self, secret: object) -> str:
        """Make the flow id that belongs to a secret of yours, such as the token in a link: a keyed hash of it."""
        return flow_of(secret, self._state().derive_key("flow"))

    # -- What the host records ------------------------------------------------------------------------------------

    def record_sign_in(
        self,
        *,
        identity: object = None,
        success: bool | None = None,
        outcome: str | None = None,
        event: str = "sign_in",
        reason: str | None = None,
        user_id: object = None,
        method: str | None = None,
        account_known: bool | None = None,
        ip: object = None,
        user_agent: object = None,
        referrer: object = None,
        endpoint: object = None,
        request_id: object = None,
        flow_id: object = None,
    ) -> str | None:
        """Record a sign-in attempt; inside a request the address and device are read from it.

        :param identity: what was typed; kept if it is an email address, a phone number or, with *account_known* or a
            *user_id*, an account's name, else masked and hashed.
        :param outcome: ``success``, ``failure``, ``challenge`` or ``blocked``; by default from *success*.
        :return: the event id, or None if the kind is disabled or the entry excluded.
        :raise LogUnavailable: if the entry cannot be made durable and ``MELODY_LOGS_ON_FAILURE`` is ``fail_closed``.
        """
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        return self._state().recorder.record_sign_in(given, strict=True)

    def record_email(self, *, receiver: object = None, content: object = None, **fields: Any) -> str | None:
        """Record an email that was handed to a provider.

        Further keywords: ``subject``, ``success`` or ``status``, ``response``, ``purpose``, ``template``, ``provider``,
        ``provider_message_id``, ``content_type``, ``user_id``, ``flow_id``, ``request_id``, and ``secrets``, the exact
        codes, links and tokens that the message contains: they are removed in all their encodings before anything is
        written.

        :return: the event id, or None if the kind is disabled or the entry excluded.
        :raise LogUnavailable: if the entry cannot be made durable and ``MELODY_LOGS_ON_FAILURE`` is ``fail_closed``.
        """
        return self._record_message("email", {"receiver": receiver, "content": content, **fields})

    def record_sms(self, *, receiver: object = None, content: object = None, **fields: Any) -> str | None:
        """Record a text message that was handed to a provider; keywords as :meth:`record_email`."""
        return self._record_message("sms", {"receiver": receiver, "content": content, **fields})

    def sending_email(self, **fields: Any) -> AbstractContextManager[Sending]:
        """Record an email as pending, and when the block ends as sent, or as failed if it raised.

        The exception goes on unchanged. Inside the block, ``sending.sent(response, provider_message_id=...)``,
        ``sending.failed(response)`` and ``sending.suppressed()`` say more. Keywords, and what may be raised before
        the block runs, as :meth:`record_email`.
        """
        return announced(self._state().recorder, "email", _known_fields("sending_email", fields))

    def sending_sms(self, **fields: Any) -> AbstractContextManager[Sending]:
        """Record a text message in two phases; see :meth:`sending_email`."""
        return announced(self._state().recorder, "sms", _known_fields("sending_sms", fields))

    def _record_message(self, kind: Kind, fields: dict[str, Any]) -> str | None:
        known = _known_fields(f"record_{kind}", fields)
        return self._state().recorder.record_message(kind, known, strict=True)

    def _state(self) -> State:
        if has_app_context():
            return state_of()
        # A thread that sends mail has no app context; with one app there is no doubt which is meant.
        apps = list(self._apps)
        if len(apps) == 1:
            return state_of(apps[0])
        raise NotInitialisedError(
            f"there is no app context and melody_logs serves {len(apps)} apps: record inside app.app_context()"
        )


#: The keywords of a message.
MESSAGE_FIELDS = frozenset(
    {
        *("receiver", "subject", "content", "content_type", "success", "status", "response"),
        *("purpose", "template", "provider", "provider_message_id"),
        *("user_id", "flow_id", "request_id", "endpoint", "secrets"),
    }
)
SIGN_IN_FIELDS = frozenset(MelodyLogs.record_sign_in.__kwdefaults__ or {})


def _known_fields(method: str, fields: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(fields) - MESSAGE_FIELDS)
    if unknown:
        raise TypeError(f'{method}() has no keyword "{unknown[0]}"; accepted: {", ".join(sorted(MESSAGE_FIELDS))}')
    return fields
