"""Which addresses a node may connect to: public ones, and those that the operator allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Translators carry an IPv4 address in the last 32 bits of these (RFC 6052) …
_NAT64 = IPv6Network("64:ff9b::/96")
#: … and wherever a network's operator likes in these (RFC 8215): it can't be told where they lead.
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of the allow list: a host name or a network, at one port or at every one."""

    target: str | Network
    port: int | None = None

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Whether it allows `address`, which `host` resolved to."""
        if self.port is not None and self.port != port:
            return False
        if isinstance(self.target, str):
            return self.target == host.lower().rstrip(".")
        return address in self.target


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses are allowed, others only by an allowance."""

    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def from_entries(cls, entries: Sequence[str]) -> AddressPolicy:
        """Read entries such as `10.0.0.0/8`, `intranet`, `localhost:8080`, `[::1]:80`."""
        return cls(tuple(_allowance(entry) for entry in entries))

    def allows(self, host: str, address: Address, port: int) -> bool:
        """Whether a node that asked for `host` may connect to `address`."""
        plain = _plain(address)
        if any(allowance.covers(host, plain, port) for allowance in self.allowances):
            return True
        return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address, and the one that may be wrapped in it, is reachable by anybody."""
    wrapped = _wrapped(address)
    if wrapped is not None:
        return is_public(wrapped)
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or (isinstance(address, IPv6Address) and address.is_site_local)
        or address in _LOCAL_NAT64
    )


def _wrapped(address: Address) -> IPv4Address | None:
    """The IPv4 address that a gateway would reach for an IPv6 address."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _plain(address: Address) -> Address:
    """An IPv4 address mapped into IPv6 is that IPv4 address; other wrappings are not."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _allowance(entry: str) -> Allowance:
    network = _network(entry)
    if network is not None:
        return Allowance(network)
    host, colon, port = entry.rpartition(":")
    if not colon:
        return Allowance(_host(entry))
    bare = host.removeprefix("[").removesuffix("]")
    return Allowance(_network(bare) or _host(bare), int(port))


def _network(text: str) -> Network | None:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        return ip_network(bare, strict=False)
    except ValueError:
        return None


def _host(name: str) -> str:
    return name.lower().rstrip(".")


def parse_address(text: str) -> Address | None:
    """Read an address written as such; None for a name."""
    try:
        return ip_address(text)
    except ValueError:
        return None
