"""TLS toward upstreams, with real certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE

from .certificates import Authority
from .servers import OK, fetch, refusal_of, upstreams


@dataclass
class Seen:
    """What an upstream was told: the names that it was asked for, and whose certificates it was shown."""

    port: int = 0
    names: list[str | None] = field(default_factory=list)
    clients: list[str | None] = field(default_factory=list)


@asynccontextmanager
async def serving(pair: tuple[Path, Path], clients: Path | None = None) -> AsyncIterator[Seen]:
    """An upstream that shows the certificate of `pair`, and wants one of the authority in `clients`."""
    seen = Seen()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    context.sni_callback = lambda _, name, __: seen.names.append(name)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        seen.clients.append(certificate["subject"][0][0][1] if certificate else None)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    seen.port = server.sockets[0].getsockname()[1]
    async with server:
        yield seen


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_an_upstream_is_asked_for_its_name_and_must_have_it(authority: Authority) -> None:
    async with serving(authority.issue("localhost")) as seen:
        async with upstreams(f"https://localhost:{seen.port}", ca_file=authority.file) as pool:
            assert await fetch(pool) == (200, b"ok")
        assert seen.names == ["localhost"]


async def test_an_address_is_in_the_certificate_where_no_name_is_given(authority: Authority) -> None:
    async with serving(authority.issue("127.0.0.1")) as seen:
        async with upstreams(f"https://127.0.0.1:{seen.port}", ca_file=authority.file) as pool:
            assert await fetch(pool) == (200, b"ok")
        assert seen.names == [None]


async def test_a_target_by_address_is_known_by_the_name_that_is_given(authority: Authority) -> None:
    async with serving(authority.issue("app.internal")) as seen:
        url = f"https://127.0.0.1:{seen.port}"
        async with upstreams(url, ca_file=authority.file, server_name="app.internal") as pool:
            assert await fetch(pool) == (200, b"ok")
        for name in (None, "other.internal", "internal", "xapp.internal"):
            async with upstreams(url, ca_file=authority.file, server_name=name) as pool:
                assert await refusal_of(pool) is UPSTREAM_UNREACHABLE
        assert seen.names == ["app.internal", None, "other.internal", "internal", "xapp.internal"]


async def test_an_upstream_of_another_authority_or_whose_certificate_is_over_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path / "b", "ours")
    for pair in (others.issue("localhost"), ours.issue("localhost", lasts=timedelta(minutes=50))):
        async with serving(pair) as seen:
            for file in (ours.file, None):
                async with upstreams(f"https://localhost:{seen.port}", ca_file=file) as pool:
                    assert await refusal_of(pool) is UPSTREAM_UNREACHABLE
            assert seen.clients == []


@pytest.mark.parametrize("in_one_file", [False, True])
async def test_an_upstream_that_wants_to_know_us_is_shown_our_certificate(authority: Authority, in_one_file: bool) -> None:
    certificate, key = authority.issue("gateway.internal")
    keys = {"client_cert_file": certificate, "client_key_file": key}
    if in_one_file:
        certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
        del keys["client_key_file"]
    async with serving(authority.issue("localhost"), clients=authority.file) as seen:
        async with upstreams(f"https://localhost:{seen.port}", ca_file=authority.file, **keys) as pool:
            assert await fetch(pool) == (200, b"ok")
        assert seen.clients == ["gateway.internal"]


async def test_an_upstream_that_does_not_know_our_certificate_gets_nothing_of_it(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "b").mkdir()
    certificate, key = Authority(tmp_path / "b").issue("gateway.internal")
    async with serving(authority.issue("localhost"), clients=authority.file) as seen:
        url = f"https://localhost:{seen.port}"
        for keys in ({}, {"client_cert_file": certificate, "client_key_file": key}):
            async with upstreams(url, ca_file=authority.file, **keys) as pool:
                assert await refusal_of(pool) in (UPSTREAM_CLOSED, UPSTREAM_UNREACHABLE)
        assert seen.clients == []


async def test_an_upstream_that_does_not_speak_tls_is_unreachable_and_one_that_does_not_speak_at_all_is_too_slow() -> None:
    answers = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answers)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        async with upstreams(url) as pool:
            assert await refusal_of(pool) is UPSTREAM_UNREACHABLE
        answers = b""
        async with upstreams(url, connect=0.1) as pool:
            assert await refusal_of(pool) is UPSTREAM_TIMEOUT
