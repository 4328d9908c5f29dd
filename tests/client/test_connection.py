"""What the client sends again, and what it never does."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from gateway.client import Client, Refusal, Unreachable

Answers = Callable[[httpx.Request], httpx.Response]
TENANT = {"id": "tnt_1"}


def refused(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "No."}, headers=headers)


class Gateway(httpx.AsyncBaseTransport):
    """Answers in turn; an exception among the answers is a connection that fails."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waited: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)

    def client(self) -> Client:
        return Client("http://gateway.test", "tg_live_x", transport=self, pause=self.pause)


async def test_a_post_whose_answer_is_lost_is_sent_again_with_its_own_idempotency_key() -> None:
    lost, busy = httpx.ReadError("gone"), refused(409, "IDEMPOTENCY_KEY_IN_USE")
    gateway = Gateway(lost, busy, httpx.Response(201, json=TENANT))
    async with gateway.client() as client:
        assert await client.tenants.create(name="Acme") == TENANT
    keys = {request.headers["idempotency-key"] for request in gateway.requests}
    assert (len(gateway.requests), len(keys)) == (3, 1)
    assert {request.content for request in gateway.requests} == {b'{"name":"Acme"}'}


async def test_two_posts_have_different_idempotency_keys() -> None:
    gateway = Gateway(*(httpx.Response(201, json=TENANT) for _ in range(2)))
    async with gateway.client() as client:
        for _ in range(2):
            await client.tenants.create(name="Acme")
    assert len({request.headers["idempotency-key"] for request in gateway.requests}) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(503, "STORE_UNAVAILABLE"), (409, "IDEMPOTENCY_KEY_IN_USE"), (422, "INVALID_BODY")]
)
async def test_a_post_that_was_answered_is_not_sent_again(status: int, code: str) -> None:
    gateway = Gateway(refused(status, code, **{"Retry-After": "1"}))
    async with gateway.client() as client:
        with pytest.raises(Refusal) as raised:
            await client.tenants.create(name="Acme")
    assert (raised.value.status, raised.value.code, len(gateway.requests)) == (status, code, 1)


async def test_a_change_is_never_sent_twice() -> None:
    gateway = Gateway(httpx.ReadError("gone"))
    async with gateway.client() as client:
        with pytest.raises(Unreachable):
            await client.tenants.update("tnt_1", name="Acme")
    assert len(gateway.requests) == 1


async def test_a_limited_client_waits_as_long_as_it_is_told_within_reason() -> None:
    limited = refused(429, "RATE_LIMITED", **{"Retry-After": "3"}), refused(429, "RATE_LIMITED", **{"Retry-After": "86400"})
    gateway = Gateway(*limited, httpx.Response(200, json=TENANT, headers={"ETag": '"1"'}))
    async with gateway.client() as client:
        assert await client.tenants.tagged("tnt_1") == (TENANT, '"1"')
    assert gateway.waited == [3, 10]


async def test_it_gives_up_in_the_end() -> None:
    gateway = Gateway(*(httpx.ConnectError("refused") for _ in range(9)))
    async with gateway.client() as client:
        with pytest.raises(Unreachable, match=r"gateway\.test: refused"):
            await client.tenants.get("tnt_1")
    assert gateway.waited == [0.2, 0.4, 0.8]


async def test_a_refusal_tells_all_that_the_problem_document_tells() -> None:
    fault = {"field": "plan", "pointer": "/plan", "message": "must be one of: free"}
    document = {"code": "INVALID_BODY", "detail": "Invalid input.", "errors": [fault]}
    gateway = Gateway(httpx.Response(422, json=document, headers={"X-Request-Id": "abc"}))
    async with gateway.client() as client:
        with pytest.raises(Refusal, match="INVALID_BODY: Invalid input") as raised:
            await client.tenants.create(name="Acme", plan="x")
    assert (raised.value.errors, raised.value.request_id) == ((fault,), "abc")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"code": 5}', b"\xff", b""])
async def test_the_page_of_a_proxy_is_a_refusal_without_a_code(content: bytes) -> None:
    gateway = Gateway(httpx.Response(403, content=content))
    async with gateway.client() as client:
        with pytest.raises(Refusal, match="403 Forbidden") as raised:
            await client.tenants.get("tnt_1")
    assert raised.value.code == ""


async def test_a_list_asks_for_pages_as_they_are_needed() -> None:
    pages = [{"data": [{"id": "a"}, {"id": "b"}], "next_cursor": "x"}, {"data": [{"id": "c"}], "next_cursor": None}]
    gateway = Gateway(*(httpx.Response(200, json=page) for page in pages))
    async with gateway.client() as client:
        found, asked = [], []
        async for tenant in client.tenants.list():
            found.append(tenant["id"])
            asked.append(len(gateway.requests))
    assert (found, asked) == (["a", "b", "c"], [1, 1, 2])
    assert [dict(request.url.params) for request in gateway.requests] == [{"limit": "100"}, {"limit": "100", "cursor": "x"}]


async def test_the_key_is_in_no_text_of_a_fault() -> None:
    gateway = Gateway(httpx.ReadError("gone"), refused(401, "KEY_INVALID"))
    async with gateway.client() as client:
        with pytest.raises(Refusal) as raised:
            await client.tenants.get("tnt_1")
    assert "tg_live_x" not in f"{raised.value!r} {client!r}"
