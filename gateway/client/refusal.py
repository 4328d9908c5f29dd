"""A refusal of the gateway, as its problem document tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx


class Refusal(Exception):
    """`code` is for programs, `detail` for people. `errors` are the faults of the input, each with `field`, `message`, and
    `pointer` or `parameter`. `retry_after` is in seconds; None: nothing was said of it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code or status}: {detail}")
        self.status, self.code, self.detail = status, code, detail
        self.request_id, self.errors, self.retry_after = request_id, tuple(errors), retry_after


def refusal_of(response: httpx.Response) -> Refusal:
    """Of an answer that has been read. What is no document of the gateway's, such as a proxy's page, has no code."""
    # Any: a document of whoever has answered.
    document: Any = None
    with suppress(ValueError):
        document = response.json()
    known = document if isinstance(document, dict) and isinstance(document.get("code"), str) else {}
    after = response.headers.get("retry-after", "")
    return Refusal(
        response.status_code,
        known.get("code", ""),
        # The operators' API calls it `message`.
        known.get("detail") or known.get("message") or f"{response.status_code} {response.reason_phrase}",
        response.headers.get("x-request-id", ""),
        known.get("errors", ()),
        float(after) if after.isascii() and after.isdigit() else None,
    )
