"""`openapi`: the document of what is mounted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from gateway.api.endpoint import Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing


class OpenApi(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


def openapi_endpoints(told: Callable[[], Mapping[str, object]]) -> tuple[Endpoint, ...]:
    """`told` gives the document, once everything is mounted."""

    async def show(asked: Asked[Nothing, Nothing]) -> Response:
        return JSONResponse(told())

    return (
        endpoint(
            "GET",
            "",
            show,
            name="getOpenApi",
            summary="Show this document",
            parameters=Nothing,
            body=Nothing,
            answer=OpenApi,
            example=Example({"openapi": "3.1.0", "info": {"title": "tenantgate"}, "paths": {}}),
        ),
    )
