"""The gateway that one writes in an afternoon: Starlette, httpx, redis-py and PyJWT, each used as its documentation shows.

It checks what nginx-lua.conf checks, by the same script in the store, and streams both ways. Run by uvicorn.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jwt
import redis.asyncio as redis
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

SECRET = os.environ.get("HANDWRITTEN_SECRET", "")
UPSTREAM = os.environ.get("HANDWRITTEN_UPSTREAM", "")
STORE = os.environ.get("HANDWRITTEN_STORE", "redis://127.0.0.1:6379")
SCRIPT = Path(__file__).with_name("configs") / "policy.lua"

# In its favour, and not what a user would write: httpcore imports this module several times for each request. Nothing requires
# it any longer, and where it is not installed each import searches for it anew. So it is known to be absent.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # None marks a module as absent

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization"}
OURS = {"host", "x-tenant-id", "x-subject"}
INTERVAL_US, BURST, QUOTA, COST, QUOTA_TTL = 10, 1_000_000, 1_000_000_000_000, 1, 3_000_000
REFUSALS = {1: (403, "suspended"), 2: (429, "too many requests"), 3: (429, "quota exceeded")}

store = redis.from_url(STORE)
admit = store.register_script(SCRIPT.read_text())
client = httpx.AsyncClient(base_url=UPSTREAM, timeout=30)


def authenticate(request: Request) -> dict[str, str] | None:
    """The claims of a token that holds."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        return None
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="api", issuer="https://idp.example")
    except jwt.InvalidTokenError:
        return None
    return claims if isinstance(claims.get("tenant"), str) else None


async def proxy(request: Request) -> Response:
    claims = authenticate(request)
    if claims is None:
        return JSONResponse({"error": "unauthorized"}, 401)
    tenant = claims["tenant"]
    if request.headers.get("x-tenant") != tenant:
        return JSONResponse({"error": "wrong tenant"}, 403)
    keys = [f"{{{tenant}}}:s", f"{{{tenant}}}:r", f"{{{tenant}}}:q"]
    answer = await admit(keys=keys, args=[INTERVAL_US, BURST, QUOTA, COST, QUOTA_TTL])
    if answer[0] != 0:
        status, error = REFUSALS[answer[0]]
        return JSONResponse({"error": error}, status)
    return await forward(request, tenant, claims["sub"])


async def forward(request: Request, tenant: str, subject: str) -> Response:
    headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP | OURS]
    headers += [("x-tenant-id", tenant), ("x-subject", subject)]
    url = httpx.URL(path=request.url.path, query=request.url.query.encode())
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    sent = client.build_request(request.method, url, headers=headers, content=request.stream() if has_body else None)
    answer = await client.send(sent, stream=True)
    kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
    return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await client.aclose()
    await store.aclose()


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
app = Starlette(routes=[Route("/{path:path}", proxy, methods=METHODS)], lifespan=lifespan)
