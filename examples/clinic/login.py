"""Login: an e-mail address, a password and the tenant, for a token that the gateway will know."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

import jwt
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from .passwords import matches
from .tenancy import enter

_ACCESS, _REFRESH = 3600, 30 * 86400


class Credentials(BaseModel):
    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)
    tenant: str = Field(max_length=48)


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    role: str
    password_hash: str


@dataclass(frozen=True)
class Login:
    pool: AsyncConnectionPool
    secret: str

    async def log_in(self, request: Request) -> JSONResponse:
        given = Credentials.model_validate_json(await request.body())
        account = await self._account(given)
        # One answer, whichever of the three is wrong: it must not tell which tenants and addresses exist.
        if not await matches(given.password, account.password_hash if account else None) or account is None:
            raise HTTPException(401, "tenant, e-mail address or password is wrong")
        return JSONResponse(self._tokens(account, given.tenant), headers={"Cache-Control": "no-store"})

    async def _account(self, given: Credentials) -> Account | None:
        async with self.pool.connection() as connection, connection.transaction():
            found = await connection.execute("SELECT schema FROM public.companies WHERE slug = %s", (given.tenant,))
            company = await found.fetchone()
            if company is None:
                return None
            await enter(connection, company[0])
            found = await connection.execute("SELECT id, role, password_hash FROM users WHERE email = %s", (given.email,))
            row = await found.fetchone()
        return Account(*row) if row else None

    def _tokens(self, account: Account, tenant: str) -> dict[str, object]:
        return {
            "token": self._token(account, tenant, _ACCESS, "JWT"),
            "refresh_token": self._token(account, tenant, _REFRESH, "refresh+jwt"),
            "expires_in": _ACCESS,
        }

    def _token(self, account: Account, tenant: str, lifetime: int, typ: str) -> str:
        now = int(time.time())
        claims = {
            "iss": "clinic",
            "aud": "clinic",
            "sub": str(account.id),
            "tenant": tenant,
            "role": account.role,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + lifetime,
        }
        return jwt.encode(claims, self.secret, algorithm="HS256", headers={"typ": typ})
