"""Deliveries over TLS: to whoever has a certificate for the name, at the address that was looked at."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.webhook import Webhook
from gateway.webhooks.event import trial
from gateway.webhooks.send import Attempt, Resolve, Sender, SystemResolver
from tests.forward.certificates import Authority
from tests.webhooks.receiver import Receiver, listening
from tests.webhooks.samples import HERE, as_written

NAME = "hooks.example.test"


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def attempt(url: str, resolve: Resolve, authority: Authority | None = None) -> Attempt:
    tls = None if authority is None else ssl.create_default_context(cafile=str(authority.file))
    webhook = Webhook("whk_1", url, (SigningSecret("sec_1", b"secret"),), 0.0, "test", 0.0)
    event = trial("main", None, "2026-06-21T10:00:00+00:00")
    return await Sender(HERE, resolve, tls).send(webhook, event, 1_780_000_000.0)


@pytest.mark.parametrize(("certified", "delivered"), [(NAME, True), ("other.example.test", False), ("127.0.0.1", False)])
async def test_the_certificate_has_to_be_for_the_name(tmp_path: Path, certified: str, delivered: bool) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(certified))
    async with listening(context) as receiver:
        found = await attempt(f"https://{NAME}:{receiver.port}/hooks", here, authority)
        assert found == (Attempt(204) if delivered else Attempt(error="the TLS handshake failed"))
        assert len(receiver.got) == delivered


async def test_a_certificate_of_nobody_who_is_trusted_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path).issue(NAME))
    async with listening(context) as receiver:
        assert await attempt(f"https://{NAME}:{receiver.port}/hooks", here) == Attempt(error="the TLS handshake failed")


async def test_a_name_without_an_address_is_told_as_such(receiver: Receiver) -> None:
    resolver = SystemResolver(1)
    assert await attempt(f"http://no-such-name.invalid:{receiver.port}/", resolver) == Attempt(error="the host has no address")
    assert await attempt(f"http://localhost:{receiver.port}/", resolver) in (Attempt(204), Attempt(error=NOT_ALLOWED))
    resolver.close()


NOT_ALLOWED = "the host's address is not allowed"
"""Where `localhost` has an address in IPv6 too, which is not among those that are allowed here."""


async def test_an_endpoint_that_does_not_listen_or_speaks_no_http_is_told_as_such(receiver: Receiver) -> None:
    assert (await attempt("http://127.0.0.1:1024/", as_written)).error == "no connection"
    receiver.answer = lambda delivery: b"SSH-2.0\r\n\r\n"
    assert (await attempt(receiver.url, as_written)).error == "the connection broke off, or what came was no HTTP"


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1024")
    assert await attempt(receiver.url, as_written) == Attempt(204)
