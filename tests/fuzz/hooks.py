"""How schemathesis sends bodies of the types that it does not know."""

from __future__ import annotations

import schemathesis


@schemathesis.serializer("application/jsonl")
def lines(context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
