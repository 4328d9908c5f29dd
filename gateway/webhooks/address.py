"""Which addresses may be delivered to. Who names a URL must not reach through the gateway what it can't reach itself
(server-side request forgery)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# A host is lower-case letters in ASCII, or an address; no user information, no fragment, no backslash anywhere.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_.])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>(?:/[!$-;=?-\[\]_a-z~]*)?)"
)
_PORTS = {80, 443}
_FIRST_FREE_PORT, _LAST_PORT = 1024, 65535
_TRIED = 4
_NAT64 = IPv6Network("64:ff9b::/96")
# For special purposes (the registries of RFC 6890), whatever `is_global` of this Python says; and an address that is public by
# its form, but where a cloud answers to its own machines alone.
_SPECIAL: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("168.63.129.16/32"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),
    IPv6Network("5f00::/16"),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """`allow_private`: networks that are not public and may be delivered to nevertheless."""

    allow_http: bool = False
    allow_private: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Whether it is public, or allowed by name. An address that carries another one is as good as that one."""
        carried = _carried(address)
        # An address is in no network of the other version.
        named = any(one in network for network in self.allow_private for one in (address, carried))
        return named or _public(carried)

    def check(self, url: str) -> None:
        """Raises ValueError, with what is wrong, without the URL."""
        destination = Destination.of(url)
        if destination.scheme == "http" and not self.allow_http:
            raise ValueError("must begin with https://")
        try:
            literal = ip_address(destination.host)
        except ValueError:
            return
        if not self.allows(literal):
            raise ValueError("must not name a private address")


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL in its parts. `host` is a name, or an address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> Destination:
        """Raises ValueError."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError("must be a URL such as https://example.com/hooks, of ASCII, with its host in lower case")
        port = int(found["port"] or (443 if found["scheme"] == "https" else 80))
        if port not in _PORTS and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
            raise ValueError("must name port 80, 443, or one from 1024 to 65535")
        return cls(found["scheme"], found["host"].strip("[]"), port, found["target"] or "/")

    @property
    def authority(self) -> str:
        """As `Host` says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """The URL, with the address in place of the name."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.target}"


def chosen(found: Sequence[str], rules: Rules) -> Sequence[Address]:
    """Of the addresses of a host those to connect to, in their order; none where one is not allowed: then none is trusted."""
    addresses = [ip_address(text) for text in found]
    return addresses[:_TRIED] if all(map(rules.allows, addresses)) else ()


def _carried(address: Address) -> Address:
    """The IPv4 address that is reached by way of this one, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    # Teredo is among the addresses that are not global anyway.
    return address.sixtofour or address


def _public(address: Address) -> bool:
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not (isinstance(address, IPv6Address) and address.is_site_local)
        and not any(address in network for network in _SPECIAL)
    )
