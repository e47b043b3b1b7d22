"""Mail through Amazon SES and text messages through Amazon SNS, by any client of botocore."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from flask import Flask

from ..recording.guard import guarded
from ..recording.outgoing import outgoing_many
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State
from ..vocabulary import Kind
from .integration import Integration, recorder_for
from .mime import choose_body, read_raw_mail
from .wrapping import wrap_once

Fields = dict[str, Any]


class _Operation(NamedTuple):
    """What sends messages: of which kind, and how they are read from the call, a row for each."""

    kind: Kind
    provider: str
    read: Callable[[Any], list[Fields]]


#: By the name that botocore has for the service, and the operation.
_OPERATIONS: dict[tuple[str, str], _Operation] = {}
_OPERATION_NAMES: set[str] = set()
#: Where a bulk operation says what became of each message.
_BULK_RESULTS = ("Status", "BulkEmailEntryResults")


class Boto3(Integration):
    """Records mail through SES (both versions) and text messages through SNS, by boto3 or botocore alone.

    It sees every client of the process, made before or after, of whatever session: they all call through botocore's
    ``BaseClient``, around the events of the call. Retries within a call are one row. Where a template of SES is used
    its name is kept, but no body, which only SES has. It does not see aiobotocore, nor what SNS sends to a topic or to
    an app on a phone: that is no text message.
    """

    name: ClassVar[str] = "boto3"
    distribution: ClassVar[str] = "botocore"
    module: ClassVar[str] = "botocore.client"
    extra: ClassVar[str | None] = "boto3"
    least_version: ClassVar[tuple[int, ...]] = (1, 34)
    records: ClassVar[str] = "email, sms"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the library's function, once a process."""
        import botocore.client

        wrap_once(botocore.client.BaseClient, "_make_api_call", _wrap_call)

    def find_gaps(self, app: Flask) -> Iterable[str]:
        """Name the asynchronous library, whose calls are its own."""
        if "aiobotocore" in sys.modules:
            yield "what aiobotocore sends is not seen: put logs.sending_email() or logs.sending_sms() around the call"


def _wrap_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def make_api_call(self: Any, operation_name: str, api_params: Any) -> Any:
        if operation_name not in _OPERATION_NAMES:
            return original(self, operation_name, api_params)
        operation = _find_operation(self, operation_name)
        recorder = operation and recorder_for("boto3", operation.kind)
        if operation is None or recorder is None:
            return original(self, operation_name, api_params)
        found = _read_messages(operation, api_params)
        # What cannot be read is sent all the same.
        fields = [Fields(provider=operation.provider)] if found is None else found
        with outgoing_many(recorder, operation.kind, fields) as rows:
            try:
                answer = original(self, operation_name, api_params)
            except Exception as error:
                _tell_error(rows, error)
                raise
            _tell_answer(rows, answer)
            return answer

    return make_api_call


@guarded
def _find_operation(client: Any, name: str) -> _Operation | None:
    """Find what a call sends; None if that is no message."""
    return _OPERATIONS.get((client.meta.service_model.service_name, name))


@guarded
def _read_messages(operation: _Operation, parameters: Any) -> list[Fields]:
    """Give the fields of the messages that a call sends: none if it is to a topic."""
    provider: Fields = {"provider": operation.provider}
    try:
        return [fields | provider for fields in operation.read(parameters)]
    except (AttributeError, KeyError, TypeError):
        # Botocore refuses such a call itself; that is recorded all the same.
        return [provider]


@guarded
def _tell_answer(rows: Sequence[Sending], answer: Any) -> None:
    results = next((answer[name] for name in _BULK_RESULTS if isinstance(answer.get(name), list)), None)
    metadata = answer.get("ResponseMetadata", {})
    whole = f"{metadata.get('HTTPStatusCode')} request {metadata.get('RequestId')}"
    for number, row in enumerate(rows):
        result = answer if results is None else results[number] if number < len(results) else {}
        status = result.get("Status")
        if status is not None and str(status).casefold() != "success":
            row.failed(f"{status}: {result.get('Error')}")
        else:
            row.sent(whole, provider_message_id=result.get("MessageId"))


@guarded
def _tell_error(rows: Sequence[Sending], error: Any) -> None:
    """Say in the service's words why it refused; other exceptions speak for themselves."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict) or not answer.get("Error"):
        return
    status, found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode"), answer["Error"]
    for row in rows:
        row.failed(f"{status} {found.get('Code')}: {found.get('Message')}")


def _sends(kind: Kind, *operations: tuple[str, str]) -> Callable[[Any], Any]:
    def note(read: Callable[[Any], list[Fields]]) -> Callable[[Any], list[Fields]]:
        for service, operation in operations:
            _OPERATIONS[service, operation] = _Operation(kind, "sns" if service == "sns" else "ses", read)
            _OPERATION_NAMES.add(operation)
        return read

    return note


@_sends("email", ("ses", "SendEmail"))
def _read_ses_mail(given: Any) -> list[Fields]:
    return [_read_destination(given) | _read_simple(given["Message"])]


@_sends("email", ("ses", "SendRawEmail"))
def _read_ses_raw(given: Any) -> list[Fields]:
    fields = read_raw_mail(given["RawMessage"]["Data"])
    return [fields | ({"receiver": list_addresses(given["Destinations"])} if given.get("Destinations") else {})]


@_sends("email", ("ses", "SendTemplatedEmail"))
def _read_ses_template(given: Any) -> list[Fields]:
    return [_read_destination(given) | {"template": given.get("Template")}]


@_sends("email", ("ses", "SendBulkTemplatedEmail"))
def _read_ses_bulk(given: Any) -> list[Fields]:
    return [_read_destination(each) | {"template": given.get("Template")} for each in given["Destinations"]]


@_sends("email", ("ses", "SendCustomVerificationEmail"), ("sesv2", "SendCustomVerificationEmail"))
def _read_verification(given: Any) -> list[Fields]:
    return [{"receiver": given.get("EmailAddress"), "template": given.get("TemplateName")}]


@_sends("email", ("sesv2", "SendEmail"))
def _read_sesv2_mail(given: Any) -> list[Fields]:
    content = given["Content"]
    if "Raw" in content:
        fields = read_raw_mail(content["Raw"]["Data"])
        receivers = _read_destination(given)
        return [fields | (receivers if receivers["receiver"] else {})]
    if "Template" in content:
        return [_read_destination(given) | {"template": content["Template"].get("TemplateName")}]
    return [_read_destination(given) | _read_simple(content["Simple"])]


@_sends("email", ("sesv2", "SendBulkEmail"))
def _read_sesv2_bulk(given: Any) -> list[Fields]:
    template = given["DefaultContent"].get("Template", {}).get("TemplateName")
    return [_read_destination(each) | {"template": template} for each in given["BulkEmailEntries"]]


@_sends("sms", ("sns", "Publish"))
def _read_sns_text(given: Any) -> list[Fields]:
    if not given.get("PhoneNumber"):
        return []
    return [{"receiver": given["PhoneNumber"], "content": given.get("Message"), "content_type": "text/plain"}]


def _read_destination(given: Any) -> Fields:
    to = given.get("Destination") or {}
    return {"receiver": list_addresses(*(to.get(name) for name in ("ToAddresses", "CcAddresses", "BccAddresses")))}


def _read_simple(message: Any) -> Fields:
    body = message["Body"]
    text, html = ((body.get(name) or {}).get("Data") for name in ("Text", "Html"))
    return {"subject": message["Subject"]["Data"], **choose_body(text, html)}
