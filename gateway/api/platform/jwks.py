"""`jwks`: the keys with which an upstream checks `X-Gateway-Identity`."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from gateway.api.endpoint import Asked, Endpoint, Example, endpoint
from gateway.api.jwks import KeySource, jwks_response
from gateway.api.parameters import Nothing
from gateway.api.shape import Shape


class KeySet(Shape):
    """A JSON Web Key Set (RFC 7517, 5)."""

    keys: list[dict[str, Any]]


def jwks_endpoints(keys: KeySource) -> tuple[Endpoint, ...]:
    async def show(asked: Asked[Nothing, Nothing]) -> Response:
        return jwks_response(keys)

    return (
        endpoint(
            "GET",
            "",
            show,
            name="getIdentityKeys",
            summary="Show the public keys of X-Gateway-Identity",
            parameters=Nothing,
            body=Nothing,
            answer=KeySet,
            media=("application/jwk-set+json",),
            example=Example({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1f0c…", "x": "11qYAYKx…"}]}),
        ),
    )
