from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody_logs.recording.addresses import canonical_address, is_public_address
from tests.recording.hostile import values


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:8080", "203.0.113.7"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::1]:443", "::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:cb00:7107]:80", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        (b"203.0.113.7", "203.0.113.7"),
        (ip_address("2001:db8::1"), "2001:db8::1"),
    ],
)
def test_each_address_has_one_text(raw: object, canonical: str) -> None:
    assert canonical_address(raw) == canonical


@pytest.mark.parametrize(
    "raw",
    ["", "0x7f.1", "127.1", "999.1.1.1", "1.2.3.4, 5.6.7.8", "unix:", "/run/app.sock", "localhost", '"><script>',
     "1.2.3.4%x", "[1.2.3.4]", "01.2.3.4", "\u0661.2.3.4", "1" * 500, 2130706433, None, ["1.2.3.4"]],
)  # fmt: skip
def test_what_is_no_address_becomes_null(raw: object) -> None:
    assert canonical_address(raw) is None


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("2a00:1450::1", True), ("10.0.0.1", False), ("::1", False), ("100.64.0.1", False),
     ("224.0.0.1", False), ("fe80::1", False)],
)  # fmt: skip
def test_only_public_addresses_are_located(address: str, public: bool) -> None:
    assert is_public_address(address) is public


@given(value=st.one_of(values, st.ip_addresses().map(str)))
def test_any_value_gives_a_stable_address_or_null(value: Any) -> None:
    address = canonical_address(value)
    assert address is None or (canonical_address(address) == address and len(address) <= 45)
