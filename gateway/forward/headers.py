"""What goes on to the upstream, and what comes back from it. The order is fixed: drop, drop, then set ours, so that nothing
that a client sends or names can take the place of what the gateway says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.pipeline.call import Call
from gateway.pipeline.chain import Chain
from gateway.pipeline.memo import IdentityMemo, Verdicts
from gateway.pipeline.policy import NamesTenant

REQUEST_ID, IDENTITY, TRACEPARENT = b"X-Request-Id", b"X-Gateway-Identity", b"traceparent"

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
    request, rewriting = call.request, _rewriting(chain, keep_authorization)
    stamped = rewriting.stamped(call)
    named, passes = _connection_options(request.fields), stamped.passes
    host = request.host.encode("ascii")
    fields = [(b"Host", host), *[f for f in request.fields if passes[f[0]] and f[0] not in named], *stamped.fields]
    if request.traceparent is not None:
        fields.append((TRACEPARENT, request.traceparent.encode("ascii")))
    fields.append((REQUEST_ID, request.request_id.encode("ascii")))
    chain_of_hops = request.forwarded_for or request.client_ip or "unknown"
    tell = _origin if len(chain_of_hops) <= _SHORT else _origin.__wrapped__
    fields += tell(chain_of_hops, request.host, request.scheme)
    fields.append((IDENTITY, identity.encode("ascii")))
    return fields


@dataclass(frozen=True, slots=True)
class _Stamped:
    """What policies set, and what of the client's passes beside it: nothing whose place they have taken."""

    fields: tuple[tuple[bytes, bytes], ...]
    passes: Verdicts


class _Rewriting:
    """How the requests of one route are rewritten."""

    def __init__(self, chain: Chain, keep_authorization: bool) -> None:
        self._chain = chain
        authenticators = (*chain.authenticators, *chain.others)
        # Headers in which the operator has tenants named.
        references = [name for policy in authenticators if isinstance(policy, NamesTenant) for name in policy.security_headers]
        self._dropped = frozenset(name.encode("ascii").translate(_FOLD) for name in references)
        if not keep_authorization:
            self._dropped |= {b"authorization"}
        self._by_caller = IdentityMemo[_Stamped]()
        self._passes: dict[frozenset[bytes], Verdicts] = {}

    def stamped(self, call: Call) -> _Stamped:
        if not self._chain.stamps_by_caller:
            return self._stamp(call)
        return self._by_caller(lambda: self._stamp(call), call.principal, call.customer)

    def _stamp(self, call: Call) -> _Stamped:
        stamps: dict[str, str] = {}
        self._chain.stamp(call, stamps)
        fields = tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in stamps.items())
        names = frozenset(name.translate(_FOLD) for name, _ in fields)
        if not (names | self._dropped).isdisjoint(_OWN):
            raise ValueError("a policy stamps a header that the gateway sets itself")
        if names not in self._passes:
            # A policy that makes names up as it goes must not fill the memory.
            if len(self._passes) >= _STAMPS:
                self._passes.clear()
            dropped = names | self._dropped
            self._passes[names] = Verdicts(lambda name: _may_go_out(name) and name.translate(_FOLD) not in dropped)
        return _Stamped(fields, self._passes[names])


_rewriting = lru_cache(1024)(_Rewriting)
_STAMPS = 64
# What is longer is worked out each time.
_SHORT = 256


def inbound(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a response toward the client: without those of the hop, and without any that speaks of identity. All
    others pass as they are, `Location` and each `Set-Cookie` among them. Names in lower case."""
    named, comes_in = _connection_options(headers), _COMES_IN
    if not named:
        return [field for field in headers if comes_in[field[0]]]
    # Nor can it take away what tells the client where the answer ends.
    named -= {b"content-length"}
    return [field for field in headers if comes_in[field[0]] and field[0] not in named]


@lru_cache(4096)
def _origin(chain: str, host: str, scheme: str) -> Sequence[tuple[bytes, bytes]]:
    return (
        (b"X-Forwarded-For", chain.encode("ascii")),
        (b"X-Forwarded-Proto", scheme.encode("ascii")),
        (b"X-Forwarded-Host", host.encode("ascii")),
        (b"Forwarded", _forwarded(chain.split(", "), host, scheme).encode("ascii")),
        (b"Via", b"1.1 tenantgate"),
    )


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


def _may_go_out(name: bytes) -> bool:
    return name.translate(_FOLD) not in _REQUEST_ONLY and _may_come_in(name)


def _may_come_in(name: bytes) -> bool:
    folded = name.translate(_FOLD)
    return folded not in _HOP_BY_HOP and folded not in _IDENTITY and not folded.startswith(_IDENTITY_PREFIXES)


_COMES_IN = Verdicts(_may_come_in)
