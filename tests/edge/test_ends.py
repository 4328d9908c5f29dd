"""How requests end, and what stays afterwards."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest
from starlette.types import Receive, Scope, Send

from tests.edge.test_connection import serving


async def test_a_broken_answer_ends_its_connection_also_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream breaks off while the process has as many open files as it may."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})

    def full(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "dup", full)
    async with serving(broken, body_idle=0.2) as (reader, writer, _connections):
        writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        try:
            await asyncio.wait_for(reader.read(), 2)
        except ConnectionError:
            pass
        except TimeoutError:
            raise


async def test_nothing_of_a_credential_stays_on_a_kept_connection() -> None:
    async def tiny(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})

    async with serving(tiny) as (reader, writer, connections):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n")
        await reader.readuntil(b"hi")
        await asyncio.sleep(0.1)
        kept = connections[0].outgoing
        assert "secret" not in repr([getattr(kept, name) for name in kept.__slots__])


async def test_an_application_hears_of_every_request_that_was_handed_to_it() -> None:
    """Else what was decided before the hand-over is never settled nor logged. The stop comes in the same turn."""
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(scope["path"])
        await asyncio.sleep(10)

    async with serving(app) as (_reader, _writer, connections):
        await asyncio.sleep(0.05)
        (kept,) = connections
        kept.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        kept.expire()
        await asyncio.sleep(0.2)
        assert heard == ["/"]
