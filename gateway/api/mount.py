"""Endpoints on the public listener: below the path of a route of gateway.yaml, and behind its policies."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from starlette.responses import Response

from gateway.errors import METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase
from gateway.registry.idempotency import Answers

from .body import MAX_BODY
from .document import document_of
from .endpoint import Answered, Caller, Endpoint, Received
from .etag import etag_of
from .idempotency import perform
from .rights import insufficient

ReadContent = Callable[[int], Awaitable[bytes]]
"""The body of at most so many bytes. Raises Refused."""
Builtin = Callable[[Call, ReadContent], Awaitable[Response]]
"""An answer of the gateway itself to a call that was admitted. Raises Refused."""


class Mounted:
    """A group of endpoints at `path`, which may end in `/*`. It is a guard of its route too: what a caller has no right to is
    refused before the tenant's state is looked at, and before anything is counted.

    It does not say what it rests on, so that no admission is a precedent of another: an endpoint needs each request itself."""

    phase: ClassVar[Phase] = Phase.RIGHT

    def __init__(self, path: str, endpoints: Sequence[Endpoint], answers: Answers) -> None:
        self._depth = len(path.removesuffix("/*").split("/"))
        self._endpoints = [(one.path.split("/")[1:], one) for one in endpoints]
        self._answers = answers

    def check(self, call: Call) -> None:
        """Raises Refused: ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, INSUFFICIENT_SCOPE, and what the endpoint is `platform_only`
        with."""
        endpoint, _ = self._find(call)
        if endpoint.platform_only is not None and not call.principal.root:
            raise Refused(endpoint.platform_only)
        if endpoint.scope is not None and endpoint.scope not in call.principal.scopes:
            raise insufficient([endpoint.scope])

    async def __call__(self, call: Call, read: ReadContent) -> Response:
        endpoint, path = self._find(call)
        request = call.request
        query = [(name, value) for name, values in request.parameters.items() for value in values]
        content = b"" if endpoint.method == "GET" else await read(MAX_BODY)
        if_match, key, accept = (request.header(name) for name in ("if-match", "idempotency-key", "accept"))
        received = Received(_caller(call), path, query, content, if_match, key, accept)
        outcome = await perform(self._answers, endpoint, received)
        return _response(endpoint, outcome) if isinstance(outcome, Answered) else outcome

    def _find(self, call: Call) -> tuple[Endpoint, dict[str, str]]:
        segments = call.request.path.split("/")[self._depth :]
        allowed: set[str] = set()
        for wanted, endpoint in self._endpoints:
            found = _parameters(wanted, segments)
            if found is None:
                continue
            if endpoint.method == call.request.method:
                return endpoint, found
            allowed.add(endpoint.method)
        if allowed:
            raise Refused(METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(sorted(allowed))),))
        raise Refused(ROUTE_NOT_FOUND)


def _parameters(wanted: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    """The path's parameters; None where the path is another."""
    if len(wanted) != len(segments):
        return None
    found: dict[str, str] = {}
    for name, segment in zip(wanted, segments, strict=True):
        if name.startswith("{") and segment:
            found[name[1:-1]] = segment
        elif name != segment:
            return None
    return found


def _caller(call: Call) -> Caller:
    principal, customer = call.principal, call.customer
    name = principal.credential_id or f"{principal.method}:{principal.subject}"
    tenant = None if principal.root or customer is None else customer.tenant.id
    # No organization is named so: whoever has none sees nothing.
    org = (principal.org or "") if customer is None else customer.tenant.org
    return Caller(name, call.request.request_id, org, tenant, principal.scopes, customer)


def _response(endpoint: Endpoint, answered: Answered) -> Response:
    document = document_of(answered.shown)
    headers = {"Cache-Control": "no-store", **answered.headers}
    if answered.tagged:
        headers["ETag"] = etag_of(document)
    return Response(json.dumps(document, ensure_ascii=False).encode(), endpoint.status, headers, "application/json")
