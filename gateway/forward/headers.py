"""What goes on to the upstream, and what comes back from it. The order is fixed: drop, drop, then set ours, so that nothing
that a client sends or names can take the place of what the gateway says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.pipeline.call import Call
from gateway.pipeline.chain import Chain
from gateway.pipeline.policy import NamesTenant
from gateway.pipeline.request import InboundRequest

# RFC 9110, 7.6.1, with what HTTP/1.1 upgrades and proxies add to it. Their meaning ends at this hop.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Set anew toward the upstream, or settled before the request got here: the server has answered `Expect` itself.
_REQUEST_ONLY = frozenset({b"content-length", b"expect", b"host", b"signature", b"signature-input", b"traceparent"})

_IDENTITY_PREFIXES = (b"x-auth-", b"x-forwarded", b"x-gateway-", b"x-original-", b"x-tenant")
_IDENTITY = frozenset(
    {
        # Who calls, and for whom
        b"remote-user",
        b"x-admin-key",
        b"x-allowed-domain-ids",
        b"x-api-key",
        b"x-environment",
        b"x-key-id",
        b"x-nonce",
        b"x-remote-user",
        b"x-request-id",
        b"x-signature",
        b"x-timestamp",
        b"x-widget-key",
        # Between upstream and gateway only
        b"x-served-tenant",
        b"x-usage-units",
        # Where from
        b"client-ip",
        b"forwarded",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-host",
        b"x-real-ip",
        # What another request would be made of this one; `Proxy` becomes HTTP_PROXY under CGI
        b"proxy",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-rewrite-url",
    }
)
# Case, and what CGI-like readers fold together: every other mark of a token (RFC 9110, 5.6.2) reads as a hyphen.
_FOLD = bytes(ord(chr(c).lower()) if chr(c).isalnum() and c < 128 else 0x2D for c in range(256))
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

_VIA = (b"Via", b"1.1 tenantgate")
# What a policy may not stamp: framing, the hop's own, and what is set below.
_OWN = _HOP_BY_HOP | {
    b"content-length",
    b"forwarded",
    b"host",
    b"traceparent",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-gateway-identity",
    b"x-request-id",
}


def outbound(call: Call, chain: Chain, identity: str, *, keep_authorization: bool = False) -> list[tuple[bytes, bytes]]:
    """The headers of a request toward the upstream, but for the framing of its body. `identity` is the signed token.

    `Host` is the one that the client sent. `Via` is added (RFC 9110, 7.6.3). Raises ValueError where a policy stamps a header
    that is the gateway's own.
    """
    request = call.request
    stamps: dict[str, str] = {}
    chain.stamp(call, stamps)
    stamped = [(name.encode("ascii"), value.encode("latin-1")) for name, value in stamps.items()]
    replaced = _references(chain).union([name.translate(_FOLD) for name, _ in stamped])
    if not replaced.isdisjoint(_OWN):
        raise ValueError("a policy stamps a header that the gateway sets itself")
    named = _connection_options(request.fields)
    kept = [
        (name, value)
        for name, value in request.fields
        if _may_go_out(name)
        and name not in named
        and name.translate(_FOLD) not in replaced
        and (keep_authorization or name != b"authorization")
    ]
    return [(b"Host", request.host.encode("ascii")), *kept, *stamped, *_own(request, identity)]


def inbound(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a response toward the client: without those of the hop, and without any that speaks of identity. All
    others pass as they are, `Location` and each `Set-Cookie` among them. Names in lower case."""
    fields = [(name.lower(), value) for name, value in headers]
    named = _connection_options(fields)
    return [(name, value) for name, value in fields if _may_come_in(name) and name not in named]


def usage_units(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """What the upstream says that the request has used, in `X-Usage-Units`: a whole number of at most nine digits. None where
    it says nothing that can be read so."""
    values = [value for name, value in headers if name.lower() == b"x-usage-units"]
    return int(values[0]) if len(values) == 1 and values[0].isdigit() and len(values[0]) <= 9 else None


def body_length(status: int, headers: Iterable[tuple[bytes, bytes]], *, head_only: bool) -> int | None:
    """Bytes of a response's body, None where only its end tells. Names in lower case; `head_only`: HEAD was asked."""
    if head_only or status in (204, 304):
        return 0
    return next((int(value) for name, value in headers if name == b"content-length"), None)


def _own(request: InboundRequest, identity: str) -> Iterable[tuple[bytes, bytes]]:
    chain = request.forwarded_for or request.client_ip or "unknown"
    yield b"X-Request-Id", request.request_id.encode("ascii")
    if request.traceparent is not None:
        yield b"traceparent", request.traceparent.encode("ascii")
    yield b"X-Forwarded-For", chain.encode("ascii")
    yield b"X-Forwarded-Proto", request.scheme.encode("ascii")
    yield b"X-Forwarded-Host", request.host.encode("ascii")
    yield b"Forwarded", _forwarded(chain.split(", "), request.host, request.scheme).encode("ascii")
    yield _VIA
    yield b"X-Gateway-Identity", identity.encode("ascii")


def _forwarded(hops: Sequence[str], host: str, scheme: str) -> str:
    """RFC 7239, 4: one element for each hop; host and scheme are those of the last one, as this gateway was asked."""
    elements = [f"for={_node(hop)}" for hop in hops]
    return f"{', '.join(elements)};host={_value(host)};proto={scheme}"


def _node(address: str) -> str:
    """RFC 7239, 6: an IPv6 address stands in brackets, and so in quotes. A peer without an address is `unknown`."""
    return _value(f"[{address}]" if ":" in address else address)


def _value(text: str) -> str:
    return text if _TOKEN.fullmatch(text) else f'"{text}"'


def _connection_options(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Names that `Connection` lists. It can only drop what came with it, since ours are set afterwards."""
    values = [value for name, value in fields if name == b"connection"]
    if not values:
        return frozenset()
    return frozenset(option.strip().lower() for value in values for option in value.split(b","))


# Names come from outside, so what is remembered of them is bounded.
@lru_cache(maxsize=4096)
def _may_go_out(name: bytes) -> bool:
    return name.translate(_FOLD) not in _REQUEST_ONLY and _may_come_in(name)


@lru_cache(maxsize=4096)
def _may_come_in(name: bytes) -> bool:
    folded = name.translate(_FOLD)
    return folded not in _HOP_BY_HOP and folded not in _IDENTITY and not folded.startswith(_IDENTITY_PREFIXES)


@lru_cache(maxsize=1024)
def _references(chain: Chain) -> frozenset[bytes]:
    """Headers in which the operator has tenants named, folded."""
    authenticators = (*chain.authenticators, *chain.others)
    names = [name for policy in authenticators if isinstance(policy, NamesTenant) for name in policy.security_headers]
    return frozenset(name.encode("ascii").translate(_FOLD) for name in names)
