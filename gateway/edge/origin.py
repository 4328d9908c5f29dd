"""Where a request came from, as far as the proxies in front can be believed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from uuid import UUID

import uuid_utils

Network = IPv4Network | IPv6Network
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{8,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values, version 00.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Origin:
    """`forwarded_for` is the chain of addresses that goes on to the upstream, the peer included."""

    client_ip: str
    scheme: str
    forwarded_for: str


def origin_of(peer: str, scheme: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> Origin:
    """The right-most address of `X-Forwarded-For` that is no trusted proxy; the peer itself where it is none."""
    if not _is_trusted(peer, trusted):
        return Origin(peer, scheme, peer)
    hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    client, known = peer, [peer]
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break
        client = str(address)
        known.append(client)
        if not _is_trusted(client, trusted):
            break
    claimed = headers.get("x-forwarded-proto", "").lower()
    return Origin(client, claimed if claimed in ("http", "https") else scheme, ", ".join(reversed(known)))


def request_id_of(peer: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> str:
    """A trusted proxy's `X-Request-Id` where it is well formed, else a new one."""
    given = headers.get("x-request-id", "")
    if given and _is_trusted(peer, trusted) and _REQUEST_ID.fullmatch(given):
        return given
    return new_request_id()


def new_request_id() -> str:
    return UUID(bytes=uuid_utils.uuid7().bytes).hex


def traceparent_of(headers: Mapping[str, str]) -> str | None:
    given = headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else None


def _is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    address = _address(peer)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
