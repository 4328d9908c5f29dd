"""The service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .database import Company, prepare
from .login import Login
from .practice import Practice
from .tenancy import Gateway, Tenancy
from .users import Users


def create_app(database: str, jwt_secret: str, gateway: Gateway, companies: Sequence[Company] = ()) -> Starlette:
    """`database` is a PostgreSQL connection string; `companies` are there when the service has started."""
    pool = AsyncConnectionPool(database, min_size=2, max_size=10, open=False)
    tenancy = Tenancy(gateway, pool)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with pool:
            await prepare(pool, companies)
            yield

    async def healthz(request: Request) -> JSONResponse:
        async with pool.connection(timeout=2) as connection:
            await connection.execute("SELECT 1")
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/api/auth/login", Login(pool, jwt_secret).log_in, methods=["POST"]),
            *Users(tenancy).routes(),
            *Practice(tenancy).routes(),
        ],
        exception_handlers={HTTPException: _refuse, ValidationError: _invalid},
        lifespan=lifespan,
    )


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, {"detail": error.detail}, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ValidationError)
    faults = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors(include_url=False)]
    return _problem(422, {"detail": "the body is not as expected", "errors": faults}, {})


def _problem(status: int, members: dict[str, object], headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"status": status, **members}, status, headers, media_type="application/problem+json")
