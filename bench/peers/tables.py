"""What is measured: tables of rows, each a peer under one load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .peers import DIRECT, Refusal

# By the routes of gateway.yaml; the others take any path alike.
_TARGETS = {
    "hs256": "/api/v1/items?id=5",
    "distinct": "/api/v1/items?id=5",
    "rs256": "/rs256/v1/items?id=5",
    "key": "/key/v1/items?id=5",
    "hmac": "/signed/v1/items?id=5",
    "none": "/off/v1/items?id=5",
}

_STATE = frozenset({Refusal.SUSPENDED, Refusal.OVER_RATE, Refusal.OVER_QUOTA})
_ALWAYS = frozenset({Refusal.MISSING, Refusal.TAMPERED, Refusal.WRONG_TENANT}) | _STATE
_BY_KIND = {
    "hs256": _ALWAYS | {Refusal.EXPIRED},
    "rs256": _ALWAYS | {Refusal.EXPIRED},
    "distinct": _ALWAYS | {Refusal.EXPIRED},
    "key": _ALWAYS,
    "hmac": _ALWAYS | {Refusal.REPLAYED},
    "none": frozenset[Refusal](),
}

TENANTS, MANY_TENANTS = 200, 10_000


@dataclass(frozen=True)
class Row:
    """`kind` names the credential (see Requests). `target` is given only where it is not that of the kind. `body` is sent, and
    `answer` comes back, in bytes. `hits`: requests at the upstream for each answer."""

    name: str
    peer: str
    kind: str = "hs256"
    connections: int = 64
    target: str | None = None
    body: int = 0
    answer: int = 1024
    tenants: int = TENANTS
    hits: int = 1

    @property
    def plain_target(self) -> str:
        """Where a KiB is to be had under the same policies."""
        return _TARGETS[self.kind]

    @property
    def measured_target(self) -> str:
        return self.target or self.plain_target

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    @property
    def refusals(self) -> frozenset[Refusal]:
        """What has to be refused, by whoever can."""
        return _BY_KIND[self.kind]


@dataclass(frozen=True)
class Table:
    name: str
    title: str
    rows: Sequence[Row]


def _each(peers: Sequence[str], suffix: str = "", **fields: int | str) -> list[Row]:
    return [Row(peer + suffix, peer, **fields) for peer in peers]  # type: ignore[arg-type]  # handed on


_POLICED = ("tenantgate", "nginx-lua-cached", "nginx-lua", "envoy", "traefik", "haproxy-hs256")
_CARRIERS = ("tenantgate", "nginx", "haproxy-hs256", "envoy")
_NEAR = ("tenantgate", "haproxy-hs256", "nginx-lua-cached", "nginx")
_BODIES = (("64 KiB", "64k", 64 << 10, 32), ("10 MiB", "10m", 10 << 20, 8))

MAIN = Table(
    "main",
    "64 connections, 1 KiB, a JWT of 1,000 for 200 tenants in turn",
    [
        *_each(_POLICED),
        Row("tenantgate, RS256", "tenantgate", kind="rs256"),
        Row("haproxy-rs256", "haproxy-rs256", kind="rs256"),
        Row("handwritten", "handwritten"),
    ],
)
CONNECTIONS = Table(
    "connections",
    "1 and 512 connections; `direct` asks the upstream itself",
    [
        *_each((DIRECT, *_NEAR), ", 1", connections=1),
        *_each(_NEAR, ", 512", connections=512),
    ],
)
CREDENTIALS = Table(
    "credentials",
    "64 connections, 1 KiB, by credential",
    [
        *_each(("tenantgate", "nginx", "haproxy"), ", policies off", kind="none"),
        *_each(("tenantgate", "nginx-lua-cached"), ", tokens repeating"),
        *_each(("tenantgate", "nginx-lua-cached"), ", tokens all distinct", kind="distinct"),
        Row("tenantgate, API key", "tenantgate", kind="key"),
        Row("tenantgate, HMAC", "tenantgate", kind="hmac"),
    ],
)
BODIES = Table(
    "bodies",
    "larger bodies, 64 KiB over 32 connections and 10 MiB over 8",
    [
        row
        for size, file, length, connections in _BODIES
        for row in (
            *_each(_CARRIERS, f", {size} down", connections=connections, target=f"/api/files/{file}", answer=length),
            *_each(_CARRIERS, f", {size} up", connections=connections, target="/api/sink", body=length, hits=2),
        )
    ],
)
MANY = Table(
    "tenants",
    "64 connections, 1 KiB, a JWT for each tenant of 10,000, and 1,000 of one",
    [
        *_each(("tenantgate", "nginx-lua-cached"), ", 1 tenant", tenants=1),
        *_each(("tenantgate", "nginx-lua-cached"), ", 10,000 tenants", tenants=MANY_TENANTS),
    ],
)
TABLES = (MAIN, CONNECTIONS, CREDENTIALS, BODIES, MANY)
