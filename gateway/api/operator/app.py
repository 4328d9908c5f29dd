"""The operator API as an application: every endpoint of it behind the admin key, and answered in the envelope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.admin_key import AdminKeyRequired
from gateway.api.body import content_of
from gateway.api.document import document_of
from gateway.api.endpoint import Answered, Caller, Endpoint, Received, Transfer
from gateway.api.envelope import Enveloped, success, unmatched
from gateway.api.etag import etag_of
from gateway.api.idempotency import perform
from gateway.registry.idempotency import Answers


def operator_app(endpoints: Sequence[Endpoint], admin_keys: Mapping[str, str], answers: Answers) -> Starlette:
    """To be mounted at `/api/v1`. `admin_keys`: the operators' keys by name."""
    app = Starlette(
        routes=[_route(endpoint, answers) for endpoint in endpoints],
        middleware=[Middleware(Enveloped), Middleware(AdminKeyRequired, keys=admin_keys)],
        exception_handlers={HTTPException: unmatched},
    )
    app.router.redirect_slashes = False
    return app


def _route(endpoint: Endpoint, answers: Answers) -> Route:
    async def serve(request: Request) -> Response:
        content = b"" if endpoint.method == "GET" or endpoint.transfer else await content_of(request)
        transfer = Transfer(_joined(request, "x-export-key"), request.stream()) if endpoint.transfer else None
        outcome = await perform(answers, endpoint, _received(request, content, transfer))
        if not isinstance(outcome, Answered):
            return outcome
        document = document_of(outcome.shown)
        response = success(document, outcome.message, endpoint.status)
        response.headers.update(outcome.headers)
        if outcome.tagged:
            response.headers["ETag"] = etag_of(document)
        return response

    return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.name)


def _received(request: Request, content: bytes, transfer: Transfer | None) -> Received:
    state = request.state
    return Received(
        Caller(state.operator, state.request_id),
        request.path_params,
        request.query_params.multi_items(),
        content,
        _joined(request, "if-match"),
        _joined(request, "idempotency-key"),
        _joined(request, "accept"),
        transfer=transfer,
    )


def _joined(request: Request, name: str) -> str | None:
    """A field that was sent several times, as one (RFC 9110, 5.3)."""
    sent = request.headers.getlist(name)
    return ", ".join(sent) if sent else None
