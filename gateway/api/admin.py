"""The admin listener: the operator API, and what a platform's machinery asks: `/livez`, `/readyz`, `/metrics`, the JWKS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from gateway.errors import STORE_UNAVAILABLE, Refused

from .docs_page import docs_response
from .envelope import Enveloped, success, unmatched
from .jwks import KeySource, jwks_response

Check = Callable[[], Awaitable[None]]
"""Raises Refused, with a detail that says why the gateway is not ready."""
Exposition = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From a scraper's `Accept` to the body and the content type of `/metrics`."""

# A probe has to be answered before its own time-out, also when a check hangs.
_CHECK_SECONDS = 2.0


def admin_app(
    operator: ASGIApp,
    checks: Mapping[str, Check],
    exposition: Exposition,
    jwks: KeySource,
    openapi: Mapping[str, object],
) -> Starlette:
    """`operator` answers below `/api/v1` and asks for the admin key itself; all else needs none. `checks`, by name, decide
    about `/readyz`. `openapi` describes the operator API."""

    async def livez(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        faults = await asyncio.gather(*(_fault(check) for check in checks.values()))
        told = {name: "ok" if fault is None else _reason(fault) for name, fault in zip(checks, faults, strict=True)}
        for fault in faults:
            if fault is not None:
                raise Refused(fault.problem, _reason(fault), retry_after=1, members={"checks": told})
        return success({"checks": told} if "verbose" in request.query_params else {}, "Ready.")

    async def metrics(request: Request) -> Response:
        body, content_type = await exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def keys(request: Request) -> Response:
        return jwks_response(jwks)

    async def described(request: Request) -> Response:
        return JSONResponse(openapi)

    async def docs(request: Request) -> Response:
        return docs_response(lambda: openapi)

    app = Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/.well-known/jwks.json", keys),
            Route("/openapi.json", described),
            Route("/docs", docs),
            Mount("/api/v1", operator),
        ],
        middleware=[Middleware(Enveloped)],
        exception_handlers={HTTPException: unmatched},
    )
    app.router.redirect_slashes = False
    return app


async def _fault(check: Check) -> Refused | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except Refused as fault:
        return fault
    except TimeoutError:
        return Refused(STORE_UNAVAILABLE, "The check took too long.")
    return None


def _reason(fault: Refused) -> str:
    return fault.detail or fault.problem.advice
