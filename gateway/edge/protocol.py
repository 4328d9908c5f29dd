"""uvicorn's HTTP protocol, with what a stock server takes away given back: the raw target, and a refusal in our form.

A server that has parsed the target cannot be asked what was sent: it cuts off an empty query and a fragment. Trailers are
dropped, since uvicorn would add them to the headers while the application runs.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BAD_REQUEST, Refused

from .answer import problem_document, refusal_headers
from .origin import new_request_id
from .request import EXTENSION


class GatewayProtocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = True
        target = self.url
        extensions: dict[str, Any] = {EXTENSION: {"target": target, "abort": self.transport.abort}}
        self.scope["extensions"] = extensions
        if not _is_readable(target):
            # uvicorn would raise; the walk reads the raw target alone, and refuses it with a reason.
            self.url = b"/"
        super().on_headers_complete()
        self.url = target

    def send_400_response(self, msg: str) -> None:
        request_id = new_request_id()
        refused = Refused(BAD_REQUEST, "The request is not well-formed HTTP/1.1.")
        document = problem_document(refused, request_id)
        lines = [f"{name}: {value}" for name, value in refusal_headers(refused)]
        head = "\r\n".join(
            [
                "HTTP/1.1 400 Bad Request",
                *lines,
                f"X-Request-Id: {request_id}",
                f"Content-Length: {len(document)}",
                "Connection: close",
                "\r\n",
            ]
        )
        self.transport.write(head.encode("latin-1") + document)
        self.transport.close()


def _is_readable(target: bytes) -> bool:
    try:
        return target.isascii() and httptools.parse_url(target).path is not None
    except httptools.HttpParserInvalidURLError:
        return False
