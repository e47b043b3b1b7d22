"""Text messages by the HTTP API of any provider, called with requests or httpx: a base for adapters of hosts."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from flask import Flask, current_app, has_app_context

from ..errors import ConfigurationError
from ..recording.guard import guarded
from ..recording.losses import SparseLog
from ..recording.sending import Sending
from ..state import EXTENSION_KEY, State, state_of
from .integration import APPS, Integration
from .provider_calls import Call, record_async_call, record_call
from .wrapping import wrap_once

#: The libraries whose calls are seen, with their functions: class, name, whether it is awaited.
_FUNCTIONS = {
    "requests": (("Session", "send", False),),
    "httpx": (("Client", "send", False), ("AsyncClient", "send", True)),
}
_LONGEST_ANSWER = 2_000
_LOG = SparseLog()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A call that is about to be made: its *method*, whole *url* and *body*, empty if it is not known beforehand."""

    method: str
    url: str
    body: str

    @property
    def query(self) -> dict[str, str]:
        """The fields of the query."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body, if it is a form."""
        return dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body read as JSON.

        :raise ValueError: if it is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back: the HTTP *status* and the *text*, empty where the host reads it in pieces."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The text read as JSON.

        :raise ValueError: if it is none.
        """
        return json.loads(self.text)


class HttpSms(Integration):
    """Records the text messages that this app sends by calls to *url*, with requests or httpx.

    Subclass it for a provider and hand it to ``logs.use()``. What a method of yours raises is logged, and the host goes
    on. Not seen are calls by other libraries: put ``logs.sending_sms()`` around those.
    """

    distribution = ""
    module = ""
    records = "text messages"
    #: Give both: the provider, and the address that is called, without a query; what lies below it is meant too.
    name: ClassVar[str] = ""
    url: ClassVar[str] = ""

    def matches(self, request: HttpRequest) -> bool:
        """Say whether a call sends a message; by default each POST to the url."""
        whole = request.url.partition("?")[0]
        return request.method == "POST" and (whole == self.url or whole.startswith(f"{self.url.rstrip('/')}/"))

    def read_message(self, request: HttpRequest) -> Mapping[str, Any] | None:
        """Give the keywords of ``record_sms`` that are known before the call; None if it is no message after all."""
        raise NotImplementedError

    def read_answer(self, answer: HttpAnswer, message: Sending) -> None:
        """Say by the answer how the message ended; by default its HTTP status decides."""
        said = f"{answer.status}: {answer.text[:_LONGEST_ANSWER]}"
        if answer.status < 400:
            message.accepted(said)
        else:
            message.failed(said)

    def check(self, app: Flask) -> None:
        """Refuse an adapter without an address, or without a library that it could see.

        :raise ConfigurationError: it names what is missing.
        """
        if not self.name or not self.url:
            raise ConfigurationError(f'{type(self).__name__} needs the class attributes "name" and "url"')
        if not any(find_spec(library) for library in _FUNCTIONS):
            raise ConfigurationError(f"{type(self).__name__}() needs requests or httpx: pip install requests")

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the functions of the libraries that are installed."""
        for library, functions in _FUNCTIONS.items():
            if find_spec(library):
                module = importlib.import_module(library)
                for owner, name, is_async in functions:
                    wrap_once(getattr(module, owner), name, _watch_async if is_async else _watch)


def _watch(send: Callable[..., Any]) -> Callable[..., Any]:
    def call(client: Any, request: Any, *given: Any, **options: Any) -> Any:
        adapter, known = _read_call(request) or (None, None)
        read = _answer_reader(adapter, options)
        return record_call(known, lambda: send(client, request, *given, **options), read)

    return call


def _watch_async(send: Callable[..., Any]) -> Callable[..., Any]:
    async def call(client: Any, request: Any, *given: Any, **options: Any) -> Any:
        adapter, known = _read_call(request) or (None, None)
        read = _answer_reader(adapter, options)
        return await record_async_call(known, lambda: send(client, request, *given, **options), read)

    return call


@guarded
def _read_call(request: Any) -> tuple[HttpSms, Call] | None:
    """Find the adapter of a call and what it sends; None if nobody wants to know."""
    url = str(request.url)
    known = HttpRequest(str(request.method).upper(), url, "")
    found = [(state, adapter) for state in _states() for adapter in _adapters(state) if adapter.matches(known)]
    if len(found) != 1 or not found[0][0].settings.enable_sms_log:
        return None
    state, adapter = found[0]
    whole = HttpRequest(known.method, url, _body_of(request))
    fields = _read_message(adapter, whole)
    return None if fields is None else (adapter, Call(state, "sms", {"provider": adapter.name, **fields}))


def _read_message(adapter: HttpSms, request: HttpRequest) -> Mapping[str, Any] | None:
    try:
        fields = adapter.read_message(request)
        return None if fields is None else dict(fields)
    except Exception:
        _LOG.warn(f"{type(adapter).__name__} cannot read what is sent; it is a row all the same", with_traceback=True)
        return {}


def _states() -> list[State]:
    """Give the app that is at work; in a thread without an app context, all that there are."""
    if has_app_context():
        state: State | None = current_app.extensions.get(EXTENSION_KEY)
        return [state] if state is not None else []
    return [state_of(app) for app in APPS]


def _adapters(state: State) -> list[HttpSms]:
    return [integration for integration in state.integrations.values() if isinstance(integration, HttpSms)]


def _body_of(request: Any) -> str:
    # requests calls it "body", httpx "content"; what is made while it is sent cannot be read before.
    body = request.body if hasattr(request, "body") else _attempt_content(request)
    if isinstance(body, bytes):
        return body.decode("utf-8", "replace")
    return body if isinstance(body, str) else ""


def _attempt_content(request: Any) -> Any:
    try:
        return request.content
    except Exception:
        return b""


def _answer_reader(adapter: HttpSms | None, options: Mapping[str, Any]) -> Callable[[Sending, Any], None]:
    @guarded
    def read(message: Sending, response: Any) -> None:
        assert adapter is not None
        # What nobody can read must not pass for sent.
        message.unknown()
        text = "" if options.get("stream") else response.text
        adapter.read_answer(HttpAnswer(response.status_code, text), message)

    return read
