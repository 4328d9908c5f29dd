"""Where a request came from, as far as the proxies in front can be believed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import uuid_utils

Network = IPv4Network | IPv6Network
Fields = Iterable[tuple[bytes, bytes]]
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{8,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values, version 00.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Origin:
    """`forwarded_for` is the chain of addresses that goes on to the upstream, the peer included."""

    client_ip: str
    scheme: str
    forwarded_for: str


class Origins:
    """What proxies of the networks `trusted` say is believed; what anybody else says of where a request came from is not."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(4096)(self._lies_in_trusted)

    def of(self, peer: str, scheme: str, headers: Mapping[str, str]) -> Origin:
        """The right-most address of `X-Forwarded-For` that is no trusted proxy; the peer itself where it is none."""
        if not self._is_trusted(peer):
            return Origin(peer, scheme, peer)
        hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()]
        client, known = peer, [peer]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                break
            client = str(address)
            known.append(client)
            if not self._is_trusted(client):
                break
        claimed = headers.get("x-forwarded-proto", "").lower()
        return Origin(client, claimed if claimed in ("http", "https") else scheme, ", ".join(reversed(known)))

    def request_id(self, peer: str, fields: Fields) -> str:
        """A trusted proxy's `X-Request-Id` where it is well formed, else a new one."""
        if self._is_trusted(peer):
            given = ", ".join([value.decode("latin-1") for name, value in fields if name == b"x-request-id"])
            if _REQUEST_ID.fullmatch(given):
                return given
        return new_request_id()

    def _lies_in_trusted(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._trusted)


def new_request_id() -> str:
    return uuid_utils.uuid7().hex


def traceparent_of(given: str | None) -> str | None:
    """`given`, where it is one of version 00."""
    return given if given is not None and _TRACEPARENT.fullmatch(given) else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
