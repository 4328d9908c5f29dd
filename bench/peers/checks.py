"""Whether a peer does what it is timed for: what holds reaches the upstream, and what it has to refuse does not."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .credentials import tampered
from .peers import BY_NAME, DIRECT, Refusal
from .requests import Headers
from .stack import KIB, Stack
from .tables import Row
from .tenants import OVER_QUOTA, OVER_RATE, SUSPENDED, Customer, named

_TENANT_REFUSALS = {Refusal.SUSPENDED: SUSPENDED, Refusal.OVER_RATE: OVER_RATE, Refusal.OVER_QUOTA: OVER_QUOTA}
# A limit of two: the third meets it.
_UNTIL_LIMITED = 3
_CREDENTIALS = ("Authorization", "X-Signature")
_REFUSED = {
    Refusal.SUSPENDED: {403},
    Refusal.OVER_RATE: {429},
    Refusal.OVER_QUOTA: {429},
}
_NOT_BELIEVED = {401, 403}


@dataclass(frozen=True)
class _Asker:
    """Asks a peer, one connection for each request, and sees what reaches the upstream."""

    stack: Stack
    port: int

    def ask(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes, int]:
        """Status, body, and how many requests have reached the upstream."""
        hits = self.stack.upstream.hits()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", target, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(), self.stack.upstream.hits() - hits
        finally:
            connection.close()


def check(stack: Stack, row: Row) -> list[str]:
    """What is wrong with a row; nothing: it may be timed."""
    try:
        return list(_faults(stack, row))
    except (OSError, http.client.HTTPException) as fault:
        return [f"it does not answer: {fault!r}"]


def _faults(stack: Stack, row: Row) -> Iterator[str]:
    asker = _Asker(stack, stack.port(row.peer))
    customer = stack.customers[0]
    status, body, reached = asker.ask(row.plain_target, stack.requests.headers(row.kind, customer, row.plain_target, 0))
    if (status, body, reached) != (200, KIB.encode(), 1):
        yield f"a request that holds got {status}, {len(body)} bytes, and {reached} reached the upstream"
    if row.peer == DIRECT or row.kind == "none":
        return
    for refusal, target, requests in _to_refuse(stack, row):
        for headers in requests:
            status, _, reached = asker.ask(target, headers)
        if status not in _REFUSED.get(refusal, _NOT_BELIEVED) or reached:
            yield f"{refusal.value} got {status}, and {reached} reached the upstream"


def _to_refuse(stack: Stack, row: Row) -> Iterator[tuple[Refusal, str, Iterable[Headers]]]:
    """Requests of which the last must be refused."""
    peer = BY_NAME[row.peer]
    for refusal in sorted(peer.refuses & row.refusals, key=lambda refusal: refusal.name):
        if refusal in _TENANT_REFUSALS:
            target = peer.limited or row.plain_target
            tenant = named(stack.customers, _TENANT_REFUSALS[refusal])
            times = 1 if refusal is Refusal.SUSPENDED else _UNTIL_LIMITED
            yield refusal, target, [stack.requests.headers(row.kind, tenant, target, number) for number in range(times)]
        else:
            yield refusal, row.plain_target, _CHANGES[refusal](stack, row)


def _missing(stack: Stack, row: Row) -> list[Headers]:
    headers = _good(stack, row)
    return [{name: value for name, value in headers.items() if name not in _CREDENTIALS}]


def _tampered(stack: Stack, row: Row) -> list[Headers]:
    headers = _good(stack, row)
    return [{name: tampered(value) if name in _CREDENTIALS else value for name, value in headers.items()}]


def _wrong_tenant(stack: Stack, row: Row) -> list[Headers]:
    other: Customer = stack.customers[1]
    changed = {"X-Tenant-Id": other.id} if row.kind == "hmac" else {"X-Tenant": other.slug}
    return [_good(stack, row) | changed]


def _expired(stack: Stack, row: Row) -> list[Headers]:
    slug = stack.customers[0].slug
    make = stack.requests.keys.rs256 if row.kind == "rs256" else stack.requests.keys.hs256
    return [_good(stack, row) | {"Authorization": f"Bearer {make(slug, 'late', life=-600)}"}]


def _replayed(stack: Stack, row: Row) -> list[Headers]:
    return [_good(stack, row)] * 2


def _good(stack: Stack, row: Row) -> Headers:
    return stack.requests.headers(row.kind, stack.customers[0], row.plain_target, 0)


_CHANGES: Mapping[Refusal, Callable[[Stack, Row], list[Headers]]] = {
    Refusal.MISSING: _missing,
    Refusal.TAMPERED: _tampered,
    Refusal.WRONG_TENANT: _wrong_tenant,
    Refusal.EXPIRED: _expired,
    Refusal.REPLAYED: _replayed,
}
