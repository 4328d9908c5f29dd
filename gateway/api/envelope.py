"""The operator API's one shape of answer, `{"status_code", "data", "message"}`, and how every failure comes to have it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.origin import new_request_id
from gateway.edge.request import told
from gateway.errors import BAD_REQUEST, INTERNAL_ERROR, METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, Refused

_log = logging.getLogger("tenantgate.operator")


def success(data: object, message: str, status: int = 200) -> Response:
    return _json({"status_code": status, "data": data, "message": message}, status)


def failure(refused: Refused, request_id: str) -> Response:
    problem = refused.problem
    content = {
        "status_code": problem.status,
        "data": None,
        "message": refused.detail or problem.advice,
        "code": problem.code,
        "request_id": request_id,
        **refused.members,
    }
    response = _json(content, problem.status)
    for name, value in refused.headers:
        response.headers.append(name, value)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(ceil(refused.retry_after))
    return response


def _json(content: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")


class Enveloped:
    """ASGI middleware around everything: request id, `no-store`, and the envelope for whatever is raised inside.

    An exception that is no `Refused` goes to the log with its traceback; the client gets the request id under which it stands
    there, and nothing else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # An application inside another one keeps the id that was given outside.
        request_id: str = scope.setdefault("state", {}).setdefault("request_id", new_request_id())
        started = False

        async def stamp(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        known = told(scope)
        try:
            if known is not None and known.fault is not None:
                raise known.fault
            await self._app(scope, receive, stamp)
        except Refused as refused:
            await failure(refused, request_id)(scope, receive, stamp)
        except Exception:
            _log.exception("request failed", extra={"request_id": request_id})
            if started:
                raise
            await failure(Refused(INTERNAL_ERROR), request_id)(scope, receive, stamp)


async def unmatched(request: Request, fault: Exception) -> Response:
    """Starlette's exception handler for a request that no route took: the `Refused` that says the same."""
    assert isinstance(fault, HTTPException)
    if fault.status_code == ROUTE_NOT_FOUND.status:
        raise Refused(ROUTE_NOT_FOUND, "There is no such call; docs/operator-api.md lists what there is.") from None
    if fault.status_code == METHOD_NOT_ALLOWED.status:
        raise Refused(METHOD_NOT_ALLOWED, headers=tuple((fault.headers or {}).items())) from None
    raise Refused(BAD_REQUEST) from None
