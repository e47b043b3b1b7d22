"""HttpSms: the documented adapter, against a server that answers as Vonage's documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from flask import Flask, request

from melody_logs import LogUnavailable, MelodyLogs
from melody_logs.errors import ConfigurationError
from melody_logs.integrations import HttpSms
from melody_logs.state import state_of
from tests.docs import fenced, page
from tests.hosts import close_host, make_host
from tests.servers.processes import free_port
from tests.storage.rows import read_all

DOCUMENTED = "https://rest.nexmo.com/sms/json"
CODE = "482913"
KEY = "the-key-of-the-account"
#: Numbers for which the server refuses, as the documentation of the API lists its errors.
REFUSALS = {"15550000001": ("6", "Unroutable message - rejected"), "15550000002": ("9", "Quota exceeded - rejected")}


@pytest.fixture
def url(serve: Callable[[Flask], str]) -> str:
    """The address of a provider."""
    app = Flask("vonage")

    @app.post("/sms/json")
    def send() -> Any:
        form = request.form
        if form["to"] == "15550000009":
            return "<html>", 503
        number, text = REFUSALS.get(form["to"], ("0", ""))
        part = {"to": form["to"], "status": number}
        part |= {"error-text": text} if text else {"message-id": "0A0000000123ABCD1", "remaining-balance": "3.14"}
        return {"message-count": "1", "messages": [part]}

    @app.get("/sms/json")
    def balance() -> Any:
        return {"value": 3.14}

    return f"{serve(app)}/sms/json"


@pytest.fixture
def host(tmp_path: Path, sqlite_url: str) -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host(sqlite_url, tmp_path=tmp_path / "instance")
    yield app, logs
    close_host(app)


def use_documented(logs: MelodyLogs, url: str) -> None:
    """Run the documented adapter, with another address."""
    (code,) = [block for block in fenced(page("sms.md"), "python") if "HttpSms" in block]
    assert DOCUMENTED in code
    exec(compile(code.replace(DOCUMENTED, url), "sms.md", "exec"), {"logs": logs})


def form(to: str = "16475550100") -> dict[str, str]:
    return {"api_key": KEY, "api_secret": KEY, "from": "Shop", "to": to, "text": f"Your code is {CODE}"}


def rows(app: Flask) -> list[Any]:
    return read_all(state_of(app).database, "sms")


@pytest.mark.parametrize("post", [requests.post, httpx.post], ids=["requests", "httpx"])
def test_documented_adapter_records_what_vonage_answers(
    host: tuple[Flask, MelodyLogs], url: str, post: Any, tmp_path: Path
) -> None:
    app, logs = host
    use_documented(logs, url)
    with app.app_context(), logs.describing(purpose="sign_in_code", secrets=[CODE]):
        for number in ("16475550100", *REFUSALS, "15550000009"):
            assert post(url, data=form(number)).status_code in (200, 503)
    taken, *refused, away = rows(app)
    assert (taken.status, taken.provider, taken.provider_message_id) == ("accepted", "vonage", "0A0000000123ABCD1")
    assert (taken.receiver, taken.purpose) == ("16475550100", "sign_in_code")
    assert taken.content.startswith("Your code is ")
    assert [(row.status, row.response) for row in refused] == [
        ("failed", f"{number}: {text}") for number, text in REFUSALS.values()
    ]
    assert (away.status, away.response) == ("failed", "503: <html>")
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sign_in_code" in files
    assert CODE.encode() not in files and KEY.encode() not in files


def test_other_ways_of_calling_are_seen_too(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, logs = host
    use_documented(logs, url)

    async def send() -> None:
        async with httpx.AsyncClient() as client:
            await client.post(url, data=form())

    with app.app_context(), requests.Session() as session, httpx.Client() as client:
        session.post(url, data=form())
        client.post(url, data=form())
        asyncio.run(send())
        with client.stream("POST", url, data=form()) as answer:
            assert answer.read()
        assert requests.post(url, data=form(), stream=True).json()["message-count"] == "1"
    assert [row.receiver for row in rows(app)] == ["16475550100"] * 5


def test_other_calls_leave_no_row(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, logs = host
    use_documented(logs, url)
    with app.app_context():
        assert requests.get(url).json() == {"value": 3.14}
        assert requests.post(f"{url}x", data=form()).status_code == 404
        assert httpx.get(url).status_code == 200
    assert rows(app) == []


def test_provider_that_is_down_is_a_failure(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    url = f"http://127.0.0.1:{free_port()}/sms/json"
    use_documented(logs, url)
    with app.app_context():
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=form())
        with pytest.raises(httpx.ConnectError):
            httpx.post(url, data=form())
    assert [row.status for row in rows(app)] == ["failed", "failed"]


def test_adapter_that_raises_breaks_nothing(
    host: tuple[Flask, MelodyLogs], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, logs = host
    place = url

    class Broken(HttpSms):
        name = "broken"
        url = place

        def read_message(self, request: Any) -> Any:
            raise ZeroDivisionError

        def read_answer(self, answer: Any, message: Any) -> None:
            raise ZeroDivisionError

    logs.use(Broken())
    with app.app_context():
        assert requests.post(url, data=form()).status_code == 200
    (row,) = rows(app)
    assert (row.status, row.provider, row.receiver) == ("unknown", "broken", None)
    assert "Broken cannot read what is sent" in caplog.text


def test_adapter_that_reads_no_keywords_has_a_row_all_the_same(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, logs = host
    place = url

    class Listing(HttpSms):
        name = "listing"
        url = place

        def read_message(self, request: Any) -> Any:
            return [request.form["to"]]

    logs.use(Listing())
    with app.app_context():
        assert requests.post(url, data=form()).status_code == 200
    assert [(row.provider, row.receiver) for row in rows(app)] == [("listing", None)]


def test_adapter_of_json_with_the_default_answer(host: tuple[Flask, MelodyLogs], serve: Callable[[Flask], str]) -> None:
    app, logs = host
    provider = Flask("provider")
    provider.add_url_rule("/v1/<path:rest>", "send", lambda rest: ({"id": 1}, 202), methods=["POST"])
    base = serve(provider)

    class Json(HttpSms):
        name = "json"
        url = f"{base}/v1/messages"

        def read_message(self, request: Any) -> Any:
            if request.query.get("dry"):
                return None
            return {"receiver": request.json["to"], "content": request.json["text"]}

    logs.use(Json())
    with app.app_context():
        httpx.post(f"{Json.url}/bulk?a=b", json={"to": "+1", "text": "Grüße"})
        httpx.post(f"{Json.url}?dry=1", json={"to": "+1", "text": "x"})
    (row,) = rows(app)
    assert (row.status, row.content, row.receiver) == ("accepted", "Grüße", "+1")
    assert row.response.startswith('202: {"id":1}')


def test_nothing_is_sent_that_cannot_be_logged_where_the_host_wants_so(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    spool: dict[str, Any] = {"MELODY_LOGS_SPOOL_DIR": str(tmp_path / "file"), "MELODY_LOGS_WRITER": "spool"}
    app, logs = make_host(
        f"sqlite:///{tmp_path / 'logs.db'}", tmp_path=tmp_path, MELODY_LOGS_ON_FAILURE="fail_closed", **spool
    )
    use_documented(logs, url)
    with app.app_context(), pytest.raises(LogUnavailable):
        requests.post(url, data=form())
    close_host(app)


def test_adapter_without_a_name_or_address_is_refused(host: tuple[Flask, MelodyLogs]) -> None:
    class Nameless(HttpSms):
        url = "https://provider.example/"

    class Homeless(HttpSms):
        name = "homeless"

    for adapter in (Nameless, Homeless):
        with pytest.raises(ConfigurationError, match=f'{adapter.__name__} needs the class attributes "name" and "url"'):
            host[1].use(adapter())
