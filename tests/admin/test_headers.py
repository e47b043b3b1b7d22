"""The headers of our answers, and that nobody else's answers get them."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.admin.conftest import PREFIX


@pytest.mark.parametrize("path", ["/", "/sign-in", "/sign-in/1", "/email/999", "/sms/clean", "/static/nothing.css"])
def test_pages_allow_only_their_own_scripts_and_are_kept_by_nobody(client: FlaskClient, path: str) -> None:
    headers = client.get(PREFIX + path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert {"HX-Request", "Cookie"} <= set(re.split(r",\s*", headers["Vary"]))


def test_static_files_are_kept_for_good_under_the_hash_of_their_content(client: FlaskClient) -> None:
    page = client.get(PREFIX + "/").text
    addresses = re.findall(r'(?:href|src)="([^"]+/static/[^"]+)"', page)
    assert len(addresses) == 4
    for address in addresses:
        with client.get(address) as response, client.get(address[:-4] + "0000") as other:
            assert response.status_code == other.status_code == 200
            assert "immutable" in response.headers["Cache-Control"]
            assert other.headers["Cache-Control"] == "no-cache"


def test_pages_contain_no_inline_script_or_style(client: FlaskClient) -> None:
    for path in ("/", "/sign-in", "/sign-in/13", "/email/4", "/sms/clean", "/retention", "/health"):
        text = client.get(PREFIX + path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)|javascript:|hx-on|js:", text), path


def test_the_hosts_own_answers_are_left_alone(client: FlaskClient) -> None:
    headers = client.get("/").headers
    assert not {"Content-Security-Policy", "Cache-Control", "X-Content-Type-Options"} & set(headers.keys())


def test_links_do_not_repeat_the_host_of_the_request(client: FlaskClient) -> None:
    assert "evil.example" not in client.get(PREFIX + "/sign-in", headers={"Host": "evil.example"}).text
