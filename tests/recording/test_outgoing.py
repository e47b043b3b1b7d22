"""One row a message, however many libraries one inside the other send it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from flask import Flask

from melody_logs import LogUnavailable, MelodyLogs
from melody_logs.recording.outgoing import answering, describing, outgoing, outgoing_many
from melody_logs.recording.receivers import list_addresses
from melody_logs.state import state_of
from tests.drills.raising import raising_at
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all

ANN, BOB = {"receiver": "ann@example.org"}, {"receiver": "Bob <BOB@example.org>"}


@pytest.fixture
def host() -> Iterator[tuple[Any, Callable[[], list[Any]], MelodyLogs]]:
    """The recorder of a host, a function that reads its rows, and the logs."""
    app, logs = make_host()
    with app.app_context():
        yield state_of(app).recorder, lambda: read_all(state_of(app).database, "email"), logs
    close_host(app)


Host = tuple[Any, Callable[[], list[Any]], MelodyLogs]


def test_the_inner_adapters_word_is_kept(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN | {"subject": "outer"}), outgoing(recorder, "email", ANN) as inner:
        inner.sent("250 taken", provider_message_id="Q1")
        inner.add(provider="smtp", subject="inner")
    (row,) = read()
    assert (row.status, row.response, row.provider_message_id) == ("sent", "250 taken", "Q1")
    assert (row.provider, row.subject) == ("smtp", "outer")


def test_what_was_taken_stays_sent_when_the_outer_one_fails_later(host: Host) -> None:
    recorder, read, _ = host
    with pytest.raises(KeyError), outgoing(recorder, "email", ANN):
        with outgoing(recorder, "email", ANN) as inner:
            inner.sent("250 taken")
        raise KeyError("a receiver of the host")
    assert [(row.status, row.response) for row in read()] == [("sent", "250 taken")]


def test_an_inner_failure_that_the_outer_one_swallows_is_a_failure(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN):
        try:
            with outgoing(recorder, "email", ANN):
                raise ConnectionError("refused")
        except ConnectionError:
            handed_over = 0
    assert handed_over == 0
    assert [(row.status, row.response) for row in read()] == [("failed", "ConnectionError: refused")]


def test_a_further_attempt_has_the_last_word(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN):
        for answer in ("failed", "sent"):
            with outgoing(recorder, "email", {"receiver": "ANN@example.org"}) as inner:
                getattr(inner, answer)(answer)
    assert [(row.status, row.response) for row in read()] == [("sent", "sent")]


def test_another_message_inside_is_a_row_of_its_own(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN):
        for receiver in (ANN, BOB):
            with outgoing(recorder, "email", receiver) as inner:
                inner.sent()
    assert [(row.receiver, row.status) for row in read()] == [
        ("ann@example.org", "sent"),
        ("Bob <BOB@example.org>", "sent"),
    ]


def test_what_a_task_sends_after_the_block_in_which_it_was_begun_is_a_row_of_its_own(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN):
        task = copy_context()

    def send_later(receiver: dict[str, Any]) -> None:
        with outgoing(recorder, "email", receiver) as message:
            message.sent("250 taken")

    task.run(send_later, BOB)
    assert [(row.receiver, row.response) for row in read()] == [
        ("ann@example.org", None),
        ("Bob <BOB@example.org>", "250 taken"),
    ]


def test_an_adapter_that_only_adds_makes_no_row(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(None, "email", ANN) as message:
        message.sent()
    with outgoing(recorder, "sms", ANN), outgoing(None, "email", ANN) as message:
        message.failed()
    assert read() == []


def test_several_messages_of_one_call_find_their_own(host: Host) -> None:
    recorder, read, _ = host
    with pytest.raises(OSError), outgoing_many(recorder, "email", [ANN, BOB, ANN | {"subject": "third"}]):
        with outgoing(recorder, "email", {"receiver": "bob@example.org"}) as inner:
            inner.failed("550 no Bob")
        with outgoing(recorder, "email", {"receiver": ["ann@example.org"]}) as inner:
            inner.sent("250 taken")
        raise OSError("line cut")
    assert [(row.status, row.response) for row in read()] == [
        ("sent", "250 taken"),
        ("failed", "550 no Bob"),
        ("failed", "OSError: line cut"),
    ]


def test_the_hosts_block_inside_an_adapter_adds_what_it_knows(host: Host) -> None:
    recorder, read, logs = host
    with (
        outgoing(recorder, "email", ANN | {"subject": "seen"}),
        logs.sending_email(receiver="ann@example.org", subject="said", purpose="invitation") as message,
    ):
        message.sent("taken", provider_message_id="1")
    (row,) = read()
    assert (row.subject, row.purpose, row.response, row.provider_message_id) == ("seen", "invitation", "taken", "1")


def test_a_description_is_of_every_message_in_its_block(host: Host) -> None:
    recorder, read, logs = host
    with describing(purpose="outer", user_id=7, secrets=(each for each in ["first-secret"])):
        with describing(purpose="inner", secrets="second-secret"):
            for _ in range(2):
                with outgoing(recorder, "email", ANN | {"content": "first-secret second-secret third-secret"}):
                    pass
        with logs.sending_email(purpose="said", content="first-secret", secrets=["third-secret"]) as message:
            message.sent("first-secret third-secret second-secret")
    first, second, third = read()
    assert (first.content, first.purpose, first.user_id) == ("[redacted] [redacted] third-secret", "inner", "7")
    assert second.content == first.content
    assert (third.content, third.response, third.purpose) == (
        "[redacted]",
        "[redacted] [redacted] second-secret",
        "said",
    )


def test_a_message_that_no_adapter_could_begin_is_a_failure(host: Host) -> None:
    recorder, read, _ = host
    message = ANN | {"subject": "early", "content": "first-secret"}
    with describing(secrets=["first-secret"]):
        with pytest.raises(OSError), answering(recorder, "email", lambda: message):
            raise OSError("no connection")
        with pytest.raises(OSError), answering(recorder, "email", lambda: message), outgoing(recorder, "email", BOB):
            raise OSError("line cut")
        with pytest.raises(LogUnavailable), answering(recorder, "email", lambda: message):
            raise LogUnavailable("the host is told")
        with answering(recorder, "email", lambda: message):
            pass
    assert [(row.subject, row.status, row.response, row.content) for row in read()] == [
        ("early", "failed", "OSError: no connection", "[redacted]"),
        (None, "failed", "OSError: line cut", None),
    ]


def test_nobody_knows_is_unknown(host: Host) -> None:
    recorder, read, _ = host
    with outgoing(recorder, "email", ANN) as message:
        message.unknown("two of three")
    assert [(row.status, row.response) for row in read()] == [("unknown", "two of three")]


@pytest.mark.parametrize("name", ["_describe", "_find_outer", "_note_end", "_read_more"])
def test_an_error_of_ours_keeps_the_texts_back_and_the_host_going(host: Host, name: str) -> None:
    recorder, read, _ = host
    with (
        describing(secrets=["first-secret"]),
        raising_at(("recording/outgoing.py", name)) as raised,
        outgoing(recorder, "email", ANN | {"content": "first-secret"}, dict),
        outgoing(recorder, "email", ANN),
    ):
        pass
    assert raised
    rows = read()
    assert {row.receiver for row in rows} == {"ann@example.org"}
    assert "first-secret" not in str(rows)


def test_a_description_that_fails_withholds_the_texts(host: Host) -> None:
    recorder, read, _ = host
    with (
        raising_at(("recording/outgoing.py", "_join")),
        describing(secrets=["first-secret"]),
        outgoing(recorder, "email", ANN | {"content": "first-secret"}),
    ):
        pass
    (row,) = read()
    assert (row.status, row.receiver, row.content) == ("sent", "ann@example.org", None)


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        (("ann@example.org", "bob@example.org"), ["ann@example.org", "bob@example.org"]),
        (("Ann, the first", "ann@example.org"), ["ann@example.org"]),
        (['"Ann, the first" <ann@example.org>, bob@example.org'], ["ann@example.org", "bob@example.org"]),
        ([("Ann", "ann@example.org"), "ann@example.org", b"bob@example.org"], ["ann@example.org", "bob@example.org"]),
        ("+16471231111", ["+16471231111"]),
        ([None, "", 7, "<>"], ["", "7", "<>"]),
    ],
)
def test_receivers_are_plain_addresses(given: object, addresses: list[str]) -> None:
    assert list_addresses(given) == addresses


def test_apps_without_the_kind_have_no_row(apps: list[Flask]) -> None:
    app, _ = make_host(MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    apps.append(app)
    with app.app_context(), outgoing(state_of(app).recorder, "email", ANN) as message:
        assert message.event_id is None
    assert read_all(state_of(app).database, "email") == []
