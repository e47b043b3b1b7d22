"""Twilio's HTTP API as its documentation describes it, as far as messages and codes are concerned."""

from __future__ import annotations

from typing import Any

import httpx
from flask import Flask, request
from twilio.request_validator import RequestValidator
from twilio.rest import Client

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "a-token-that-nobody-may-read"


class TwilioServer:
    """Answers, and calls back the ``StatusCallback`` of a message before it answers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.reports = ("queued", "sent", "delivered")
        self.app = Flask("twilio")
        self.app.add_url_rule("/2010-04-01/Accounts/<account>/Messages.json", "send", self._send, methods=["POST"])
        self.app.add_url_rule("/2010-04-01/Accounts/<account>/Messages.json", "list", lambda account: {"messages": []})
        self.app.add_url_rule("/v2/Services/<service>/Verifications", "verify", self._verify, methods=["POST"])
        self.app.add_url_rule("/v2/Services/<service>/VerificationCheck", "check", self._check, methods=["POST"])

    def _send(self, account: str) -> Any:
        form = request.form.to_dict()
        if form["To"] == "+15005550001":
            message = "The 'To' number +15005550001 is not a valid phone number."
            return {"code": 21211, "message": message, "more_info": "https://…/21211", "status": 400}, 400
        if form["To"] == "+15005550009":
            return "<html>Bad gateway</html>", 502
        self.messages.append(form)
        sid = f"SM{len(self.messages):032}"
        if "StatusCallback" in form:
            self._report(form["StatusCallback"], sid)
        status = "accepted" if "MessagingServiceSid" in form else "queued"
        return {"sid": sid, "status": status, "body": form.get("Body"), "to": form["To"], "error_code": None}, 201

    def _report(self, url: str, sid: str) -> None:
        for status in reversed(self.reports):
            fields = {"MessageSid": sid, "MessageStatus": status, "AccountSid": ACCOUNT}
            headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, fields)}
            assert httpx.post(url, data=fields, headers=headers).status_code == 200

    def _verify(self, service: str) -> Any:
        self.messages.append(request.form.to_dict())
        return {"sid": "VE1", "to": request.form["To"], "channel": request.form["Channel"], "status": "pending"}, 201

    def _check(self, service: str) -> Any:
        return {"sid": "VE1", "status": "approved", "valid": True}


def make_client(url: str, **options: Any) -> Client:
    """Make a client as hosts do, that calls *url* instead of Twilio."""
    client = Client(ACCOUNT, TOKEN, **options)
    client.api.base_url = client.verify.base_url = url
    return client
