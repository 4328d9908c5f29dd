"""`docs`: what is mounted, as a page for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from gateway.api.docs_page import docs_response
from gateway.api.endpoint import Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing


def docs_endpoints(told: Callable[[], Mapping[str, object]]) -> tuple[Endpoint, ...]:
    """`told` gives the OpenAPI document, once everything is mounted."""

    async def show(asked: Asked[Nothing, Nothing]) -> Response:
        return docs_response(told)

    return (
        endpoint(
            "GET",
            "",
            show,
            name="getDocs",
            summary="Show what this document says as a page",
            parameters=Nothing,
            body=Nothing,
            answer=Nothing,
            example=Example({}),
            media=("text/html",),
        ),
    )
