"""Messages of Amazon SNS: signed with the key of a certificate that only Amazon's host can give.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .amazon_host import AmazonHost
from .callback import Callback, CallRefused, forged, malformed

#: The parts that are signed, in this order; a notification may have no subject.
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _SUBSCRIPTION,
    "UnsubscribeConfirmation": _SUBSCRIPTION,
}
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}


class TopicGuard:
    """Lets in what the topics *topic_arns* send."""

    def __init__(self, topic_arns: Sequence[str]) -> None:
        self._hosts = {topic: AmazonHost(topic) for topic in topic_arns}

    def read_message(self, callback: Callback) -> str | None:
        """Give the text that was published; None for what belongs to the subscription itself, which is confirmed.

        :raise CallRefused: if it is of another topic, or not signed by Amazon.
        """
        envelope = callback.read_object()
        host = self._hosts.get(_text(envelope, "TopicArn"))
        if host is None:
            raise forged('the topic is not in "MELODY_LOGS_SES_TOPIC_ARN"')
        names = _SIGNED.get(_text(envelope, "Type"))
        if names is None:
            raise malformed("the type of the message is unknown")
        self._check(envelope, names, host)
        if envelope["Type"] == "SubscriptionConfirmation":
            self._confirm(envelope, host)
        return envelope["Message"] if envelope["Type"] == "Notification" else None

    def _check(self, envelope: dict[str, Any], names: Sequence[str], host: AmazonHost) -> None:
        algorithm = _HASHES.get(_text(envelope, "SignatureVersion"))
        if algorithm is None:
            raise forged("the message is not signed")
        try:
            signature = base64.b64decode(_text(envelope, "Signature"), validate=True)
        except ValueError:
            raise forged("the signature cannot be read") from None
        lines = [f"{name}\n{_text(envelope, name)}\n" for name in names if name != "Subject" or envelope.get(name)]
        try:
            key = host.find_key(_text(envelope, "SigningCertURL"))
            key.verify(signature, "".join(lines).encode("utf-8", "replace"), padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            raise forged("the signature is wrong") from None

    def _confirm(self, envelope: dict[str, Any], host: AmazonHost) -> None:
        """Confirm a subscription; the address is made here, whatever the message says."""
        query = {"Action": "ConfirmSubscription", "TopicArn": envelope["TopicArn"], "Token": envelope["Token"]}
        if host.fetch(f"/?{urlencode(query)}") is None:
            raise CallRefused(503, "Amazon does not answer; the subscription is not confirmed yet")


def _text(envelope: dict[str, Any], name: str) -> str:
    value = envelope.get(name)
    if not isinstance(value, str):
        raise malformed(f'"{name}" is missing, or no text')
    return value
