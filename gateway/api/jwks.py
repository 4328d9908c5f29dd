"""The public keys of `X-Gateway-Identity`, as both listeners can publish them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse, Response

KeySource = Callable[[], Mapping[str, object]]
"""The present JSON Web Key Set (RFC 7517, 5): public keys only."""

_MAX_AGE = 300


def jwks_response(keys: KeySource) -> Response:
    headers = {"Cache-Control": f"public, max-age={_MAX_AGE}"}
    return JSONResponse(keys(), headers=headers, media_type="application/jwk-set+json")
