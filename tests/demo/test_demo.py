"""The demo as a new user meets it: real processes, real mail, real texts."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.demo.driver import Demo, processes_of
from tests.servers.processes import Process, wait_until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that the tests of this module share; each uses people of its own."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    demo.start()
    yield demo
    demo.stop()


def test_demo_json_says_all_and_is_private(demo: Demo) -> None:
    names = {
        *("url", "admin_url", "admin_email", "admin_password", "client_id", "client_secret", "database_url", "pid"),
    }
    assert set(demo.facts) == names
    assert demo.facts["pid"] == demo.process.pid
    assert stat.S_IMODE((demo.data_dir / "demo.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(demo.data_dir.stat().st_mode) == 0o700
    assert "host-logs.db" in demo.facts["database_url"]


def test_ready_line_stands_alone_before_the_credentials(demo: Demo) -> None:
    demo.process.wait_for_output("Ctrl-C ends it")
    lines = demo.process.output.splitlines()
    ready = lines.index(f"READY {demo.facts['url']}")
    assert demo.facts["admin_url"] in "\n".join(lines[ready + 1 :])
    assert demo.facts["admin_password"] in "\n".join(lines[ready + 1 :])


def test_wrong_and_right_sign_ins_are_there_and_located(demo: Demo) -> None:
    visitor = demo.visit("81.2.69.142")
    assert visitor.sign_in("ann@example.org", "not this").status_code == 401
    assert visitor.sign_in("nobody@example.org", "not this").status_code == 401
    assert visitor.sign_in("ann@example.org", demo.people_password).url.path == "/account"
    rows = demo.wait_for_rows("sign-in", lambda rows: len(of_ip(rows, "81.2.69.142")) == 3)
    seen = [(row["identity"], row["outcome"], row["reason"]) for row in of_ip(rows, "81.2.69.142")]
    assert seen == [
        ("ann@example.org", "success", None),
        ("nobody@example.org", "failure", "unknown_account"),
        ("ann@example.org", "failure", "wrong_password"),
    ]
    demo.wait_for_rows(
        "sign-in",
        lambda rows: {row["country"] for row in of_ip(rows, "81.2.69.142")} == {"GB"},
    )


def test_reset_by_mail_leaves_no_link_behind(demo: Demo) -> None:
    visitor = demo.visit("91.64.13.7")
    visitor.submit("/forgot-password", email="ben@example.org")
    path = visitor.read_inbox("ben@example.org", r"(/reset-password/[^\"<\s]+)")
    assert visitor.submit(path, password="a new password").url.path == "/sign-in"
    assert visitor.sign_in("ben@example.org", "a new password").url.path == "/account"
    rows = demo.wait_for_rows("email", lambda rows: any(row["success"] for row in rows))
    row = next(row for row in rows if row["receiver"] == "ben@example.org")
    assert (row["status"], row["purpose"], row["provider"]) == ("sent", "password_reset", "smtp")
    assert row["response"].startswith("250 ")
    token = path.rpartition("/")[2]
    assert token not in row["content"]
    assert token.encode() not in demo.stored_bytes()


def test_refused_mail_is_a_failed_row(demo: Demo) -> None:
    answer = demo.visit().submit("/forgot-password", email="full@example.org")
    assert "could not be sent" in answer.text
    rows = demo.wait_for_rows("email", lambda rows: any(row["receiver"] == "full@example.org" for row in rows))
    row = next(row for row in rows if row["receiver"] == "full@example.org")
    assert (row["success"], row["status"]) == (False, "failed")
    assert row["response"] == "552 5.2.2 Mailbox full"


def test_text_step_is_recorded_without_its_code(demo: Demo) -> None:
    visitor = demo.visit("126.74.3.9")
    assert visitor.sign_in("chloe@example.org", demo.people_password).url.path == "/sign-in/code"
    code = visitor.read_inbox("+16475550143", r"code is ([0-9]{6})")
    wrong = "000000" if code != "000000" else "111111"
    assert visitor.submit("/sign-in/code", code=wrong).status_code == 401
    assert visitor.submit("/sign-in/code", code=code).url.path == "/account"
    rows = demo.wait_for_rows("sign-in", lambda rows: len(of_ip(rows, "126.74.3.9")) == 3)
    seen = [(row["outcome"], row["reason"], row["method"]) for row in of_ip(rows, "126.74.3.9")]
    assert seen == [
        ("success", None, "sms_code"),
        ("failure", "wrong_code", "sms_code"),
        ("challenge", None, "password"),
    ]
    text = demo.rows("sms")[0]
    assert (text["receiver"], text["status"], text["providerMessageId"][:5]) == ("+16475550143", "sent", "text-")
    assert code not in text["content"]
    assert f"code is {code}".encode() not in demo.stored_bytes()


def test_admin_sees_the_pages_and_others_do_not(demo: Demo) -> None:
    visitor = demo.visit()
    asked = visitor.client.get(demo.facts["admin_url"])
    assert asked.url.path == "/sign-in"
    visitor.sign_in(demo.facts["admin_email"], demo.facts["admin_password"])
    answer = visitor.client.get(demo.facts["admin_url"])
    assert answer.status_code == 200
    assert "Sign-ins" in answer.text


def test_reset_link_never_names_a_foreign_host(demo: Demo) -> None:
    """The mailed link repeats the Host header: a forged one is refused."""
    assert httpx.get(demo.facts["url"], headers={"Host": "evil.example"}).status_code == 400


def test_second_demo_on_the_folder_is_refused(demo: Demo, tmp_path: Path) -> None:
    second = Process(demo.process.command, folder=tmp_path, name="second").start()
    assert second.wait() == 1
    assert f"process {demo.process.pid}" in second.output
    assert "--data-dir" in second.output


def test_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = Process(Demo(tmp_path, "--port", str(port)).process.command, folder=tmp_path, name="second").start()
        assert process.wait() == 1
    assert f"port {port} cannot be used" in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_killed_child_comes_back_and_nothing_is_lost(demo: Demo, name: str) -> None:
    visitor = demo.visit("99.224.12.4")
    before = demo.count_stored()
    wait_until(lambda: name in demo.children(), what=name)
    killed = demo.children()[name]
    for number in range(6):
        visitor.sign_in("dmitri@example.org", f"wrong {number}")
        if number == 2:
            os.kill(killed, signal.SIGKILL)
    wait_until(lambda: demo.children().get(name, killed) != killed, what=f"a new {name}")
    wait_until(lambda: demo.count_stored() == before + 6, what="all six rows")
    demo.wait_for_rows("sign-in", lambda rows: all(row["country"] == "CA" for row in rows[:6]))


def test_kill_of_the_supervisor_leaves_no_process_and_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    demo = Demo(tmp_path, traffic=True).start()
    try:
        demo.visit("99.224.12.4").sign_in("ann@example.org", "not this")
        # The visitors of the first seconds: from several countries, with every outcome.
        rows = demo.wait_for_rows("sign-in", lambda rows: len(rows) >= 30)
        assert len({row["ip"] for row in rows}) > 5
        assert {"success", "failure"} <= {row["outcome"] for row in rows}
        wait_until(lambda: len(demo.children()) == 3, what="all children")
        first = demo.facts
        demo.process.kill()
        wait_until(lambda: not processes_of(demo.data_dir), what="the end of every process")
        demo.start()
        kept = ("admin_password", "client_id", "client_secret", "database_url")
        assert {name: demo.facts[name] for name in kept} == {name: first[name] for name in kept}
        again = demo.rows("sign-in", page_size=500, page_number=1)
        assert {row["eventId"] for row in rows} <= {row["eventId"] for row in again}
        started = time.monotonic()
        demo.process.send(signal.SIGTERM)
        assert demo.process.wait() == 0
        assert not processes_of(demo.data_dir)
        assert time.monotonic() - started < 30
    finally:
        demo.stop()


def test_demo_runs_on_postgresql_and_redis(tmp_path: Path, postgresql_url: str, redis_url: str) -> None:
    demo = Demo(tmp_path, "--database-url", postgresql_url, "--broker-url", redis_url).start()
    try:
        assert demo.facts["database_url"] == postgresql_url
        demo.visit().sign_in("ann@example.org", "not this")
        demo.wait_for_rows("sign-in", lambda rows: [row["country"] for row in rows] == ["GB"])
        assert not list(demo.data_dir.glob("*.db"))
    finally:
        demo.stop()


def of_ip(rows: list[dict[str, object]], ip: str) -> list[dict[str, object]]:
    """The rows of an address, newest first."""
    return [row for row in rows if row["ip"] == ip]


def test_configuration_is_private(demo: Demo) -> None:
    path = demo.data_dir / "configuration.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["smtp_port"]
