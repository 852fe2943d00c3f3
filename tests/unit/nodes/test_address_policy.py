"""Public addresses are reachable, all others only where the operator says so."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.nodes.outbound.policy import AddressPolicy, is_public


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        # Local use, with a public address in it: in the last bits, and for a /56.
        "64:ff9b:1::808:808",
        "64:ff9b:1:8:8:808::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not AddressPolicy().allows("name.example", ip_address(address), 80)


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "allowed"),
    [
        ("10.0.0.0/8", "a", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "a", "11.1.2.3", 80, True),
        ("10.0.0.0/8", "a", "192.168.0.1", 80, False),
        ("10.0.0.5", "a", "10.0.0.5", 443, True),
        ("10.0.0.5", "a", "10.0.0.6", 443, False),
        ("10.0.0.0/8:8080", "a", "10.1.2.3", 8080, True),
        ("10.0.0.0/8:8080", "a", "10.1.2.3", 80, False),
        ("10.0.0.0/8", "a", "::ffff:10.1.2.3", 80, True),
        ("127.0.0.1/32", "a", "2002:7f00:1::1", 80, False),
        ("intranet", "intranet", "10.0.0.1", 80, True),
        ("Intranet", "INTRANET.", "10.0.0.1", 80, True),
        ("intranet", "intranet.evil.example", "10.0.0.1", 80, False),
        ("intranet:9000", "intranet", "10.0.0.1", 80, False),
        ("::1", "a", "::1", 80, True),
        ("[::1]", "a", "::1", 80, True),
        ("[::1]:90", "a", "::1", 90, True),
        ("[::1]:90", "a", "::1", 91, False),
        ("fd00::/8", "a", "fd12::1", 1, True),
    ],
)
def test_allowances(entry: str, host: str, address: str, port: int, allowed: bool) -> None:
    policy = AddressPolicy.from_entries([entry])
    assert policy.allows(host, ip_address(address), port) is allowed
