"""Who operates: `X-Admin-Key`, one of several named keys."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import ADMIN_KEY_INVALID, Refused

_HEADER = b"x-admin-key"


class AdminKeyRequired:
    """ASGI middleware: lets a request in with a valid key only, and notes that key's name as the `operator` of the request.

    `keys`: the keys' texts by name. Raises Refused(ADMIN_KEY_INVALID), the same for a missing, a doubled and a wrong key.
    """

    def __init__(self, app: ASGIApp, keys: Mapping[str, str]) -> None:
        self._app = app
        self._digests = [(name, sha256(key.encode()).digest()) for name, key in keys.items() if key]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = [value for name, value in scope["headers"] if name == _HEADER]
            operator = self._operator(given[0]) if len(given) == 1 else None
            if operator is None:
                raise Refused(ADMIN_KEY_INVALID, headers=(("WWW-Authenticate", "X-Admin-Key"),))
            scope.setdefault("state", {})["operator"] = operator
        await self._app(scope, receive, send)

    def _operator(self, given: bytes) -> str | None:
        # Digests have one length, and every key is compared: the time says neither how near a guess was nor to which key.
        digest, found = sha256(given).digest(), None
        for name, known in self._digests:
            if compare_digest(digest, known):
                found = name
        return found
