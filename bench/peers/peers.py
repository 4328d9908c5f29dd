"""Who is measured: what each needs, how it is started, and what it is able to refuse."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class Refusal(Enum):
    """What must not pass."""

    MISSING = "a request without a credential"
    TAMPERED = "a tampered credential"
    EXPIRED = "an expired token"
    WRONG_TENANT = "another tenant's name"
    SUSPENDED = "a suspended tenant"
    OVER_RATE = "a tenant over its rate"
    OVER_QUOTA = "a tenant over its quota"
    REPLAYED = "a request that was sent before"


_TOKEN = frozenset({Refusal.MISSING, Refusal.TAMPERED, Refusal.EXPIRED, Refusal.WRONG_TENANT})
_STATE = frozenset({Refusal.SUSPENDED, Refusal.OVER_RATE, Refusal.OVER_QUOTA})


@dataclass(frozen=True)
class Peer:
    """`needs` are programs. `files` are templates of configs/; the place of the first is @CONFIG@ in `command`.

    `limited` is the target at which the limit is met, where that is not the one that is measured.
    """

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    refuses: frozenset[Refusal] = frozenset()
    limited: str | None = None


_NGINX: Final = ("nginx", "-e", "stderr", "-p", "@DIR@", "-c", "@CONFIG@")
_HAPROXY: Final = ("haproxy", "-db", "-q", "-f", "@CONFIG@")
_UVICORN: Final = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "@PORT@", "--no-access-log", "--log-level", "warning")

TENANTGATE = Peer(
    "tenantgate",
    (sys.executable, "-m", "gateway", "serve", "-c", "@CONFIG@", "--workers", "1"),
    files=("gateway.yaml",),
    refuses=_TOKEN | _STATE,
)
PEERS = (
    TENANTGATE,
    Peer(
        "nginx-lua-cached",
        _NGINX,
        ("nginx", "nginx-lua"),
        ("nginx-lua.conf",),
        {"CACHE": "true"},
        refuses=_TOKEN | _STATE,
    ),
    Peer("nginx-lua", _NGINX, ("nginx", "nginx-lua"), ("nginx-lua.conf",), {"CACHE": "false"}, refuses=_TOKEN | _STATE),
    Peer(
        "envoy",
        ("envoy", "-c", "@CONFIG@", "--concurrency", "1", "--disable-hot-restart", "-l", "error"),
        ("envoy",),
        ("envoy.yaml",),
        refuses=_TOKEN,
    ),
    Peer(
        "traefik",
        ("traefik", "--configFile=@CONFIG@"),
        ("traefik",),
        ("traefik.yml", "traefik-routes.yml"),
        environ={"GOMAXPROCS": "1"},
        refuses=frozenset({Refusal.OVER_RATE}),
        limited="/limited/",
    ),
    Peer(
        "haproxy-hs256",
        _HAPROXY,
        ("haproxy",),
        ("haproxy-jwt.cfg",),
        {"ALGORITHM": "HS256", "KEY": "@SECRET@"},
        refuses=_TOKEN | {Refusal.OVER_RATE},
    ),
    Peer(
        "haproxy-rs256",
        _HAPROXY,
        ("haproxy",),
        ("haproxy-jwt.cfg",),
        {"ALGORITHM": "RS256", "KEY": "@DIR@/rsa.pub"},
        refuses=_TOKEN | {Refusal.OVER_RATE},
    ),
    Peer(
        "handwritten",
        (sys.executable, *_UVICORN, "bench.peers.handwritten:app"),
        environ={
            "HANDWRITTEN_SECRET": "@SECRET@",
            "HANDWRITTEN_UPSTREAM": "http://127.0.0.1:@UPSTREAM@",
            "HANDWRITTEN_STORE": "redis://127.0.0.1:@STORE@",
        },
        refuses=_TOKEN | _STATE,
    ),
    Peer("nginx", _NGINX, ("nginx",), ("nginx.conf",)),
    Peer("haproxy", _HAPROXY, ("haproxy",), ("haproxy.cfg",)),
)
BY_NAME = {peer.name: peer for peer in PEERS}
DIRECT = "direct"
"""No proxy: the load asks the upstream itself."""
