"""Whose data a request may touch. The network and plain headers are not believed; only what the gateway has signed is.

The gateway sends `X-Gateway-Identity`: a JWT of 30 seconds, signed by EdDSA, that names the tenant, its schema and the request
it was made for. Everything else is 401 here. The statements of a request then run in one transaction, whose `search_path` is
that schema: `SET LOCAL` ends with the transaction, so a pooled connection can't carry it into another tenant's request.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import jwt
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool
from starlette.exceptions import HTTPException
from starlette.requests import Request

HEADER = "x-gateway-identity"
_SCHEMA = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_NEEDED = ["iss", "aud", "exp", "htm", "htu", "tenant", "schema"]
_COOLDOWN = 5.0

FetchKeys = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Identity:
    """For whom the gateway let the request through."""

    tenant: str
    schema: str
    subject: str | None


class Gateway:
    """The gateway's public keys, kept between requests and fetched again for a key id that is not among them.

    `fetch` returns a JWK Set (RFC 7517). `name` is this service's name among the gateway's upstreams, `clock` counts seconds.
    """

    def __init__(self, fetch: FetchKeys, name: str = "clinic", clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._name = name
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._next_fetch = float("-inf")
        self._fetching = asyncio.Lock()

    async def identify(self, request: Request) -> Identity:
        """Raises HTTPException: 401 for anything but a good identity token, 503 where the gateway's keys can't be had."""
        tokens = request.headers.getlist(HEADER)
        if len(tokens) != 1:
            raise _refused("come through the gateway")
        try:
            header = jwt.get_unverified_header(tokens[0])
            key = await self._key(header.get("kid"))
            claims = jwt.decode(
                tokens[0], key, algorithms=["EdDSA"], audience=self._name, issuer="tenantgate", options={"require": _NEEDED}
            )
        except jwt.InvalidTokenError as error:
            raise _refused("the identity token does not hold") from error
        path = request.scope["raw_path"].decode("latin-1")
        if header.get("typ") != "tg-identity+jwt" or claims["htm"] != request.method or claims["htu"] != path:
            raise _refused("the identity token is for another request")
        tenant, schema = claims["tenant"], claims["schema"]
        if not isinstance(tenant, str) or not isinstance(schema, str) or _SCHEMA.fullmatch(schema) is None:
            raise _refused("the identity token names no tenant")
        return Identity(tenant, schema, claims.get("sub"))

    async def _key(self, kid: object) -> jwt.PyJWK:
        if kid not in self._keys:
            await self._refresh(kid)
        key = self._keys.get(str(kid))
        if key is None:
            raise jwt.InvalidTokenError("unknown key")
        return key

    async def _refresh(self, kid: object) -> None:
        async with self._fetching:
            # Made-up key ids must not become a flood of fetches.
            if kid in self._keys or self._clock() < self._next_fetch:
                return
            try:
                keys = jwt.PyJWKSet.from_dict(await self._fetch()).keys  # type: ignore[arg-type]  # checked by from_dict
            except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
                raise HTTPException(503, "the gateway's keys can't be fetched", {"Retry-After": "1"}) from error
            self._keys = {key.key_id: key for key in keys if key.key_id is not None}
            self._next_fetch = self._clock() + _COOLDOWN


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Opens transactions on a tenant's data, and only for who has been identified."""

    gateway: Gateway
    pool: AsyncConnectionPool

    @asynccontextmanager
    async def transaction(self, identity: Identity) -> AsyncIterator[AsyncConnection]:
        async with self.pool.connection() as connection, connection.transaction():
            await enter(connection, identity.schema)
            yield connection


async def enter(connection: AsyncConnection, schema: str) -> None:
    """Point the running transaction at `schema` and nothing else."""
    await connection.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))


def _refused(reason: str) -> HTTPException:
    return HTTPException(401, reason, {"WWW-Authenticate": "TenantGateIdentity"})
