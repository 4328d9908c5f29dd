"""`Idempotency-Key`: done once, answered as often as it is asked, to the same caller alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, Outcome, Received, endpoint
from gateway.api.idempotency import perform
from gateway.api.parameters import Input
from gateway.errors import (
    BAD_REQUEST,
    IDEMPOTENCY_KEY_IN_USE,
    IDEMPOTENCY_KEY_REUSED,
    INVALID_BODY,
    NOT_FOUND,
    RATE_LIMITED,
    SLUG_TAKEN,
    STORE_UNAVAILABLE,
    WRITE_CONFLICT,
    Problem,
    Refused,
)
from tests import samples
from tests.api.samples import ADMIN_KEY, SECOND_KEY, Operator, admin_client
from tests.registry.samples import Registry
from tests.samples import ACME, GLOBEX

SECRET = "sk_canary_5f3a"
TEA = b'{"what": "tea"}'


class Order(Input):
    what: str


class Shop:
    """An endpoint that counts how often it does something; `fault` is raised in place of an answer, `gate` holds it up."""

    def __init__(self, registry: Registry) -> None:
        self.done = 0
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._answers = registry.answers
        self._endpoint: Endpoint = endpoint(
            "POST",
            "/orders/{place}",
            self._order,
            name="order",
            summary="Order",
            parameters=Place,
            body=Order,
            answer=Order,
            example=Example({}),
        )

    async def _order(self, asked: Asked[Place, Order]) -> Answered:
        self.done += 1
        number = self.done
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return Answered({"number": number, "secret": SECRET}, "Ordered.", headers={"X-Number": str(number)})

    async def ask(
        self, key: str | None = "k-1", body: bytes = b'{"what": "tea"}', who: str = "key_1", place: str = "a"
    ) -> Outcome:
        received = Received(Caller(who, "r1", "main"), {"place": place}, (), body, None, key)
        return await perform(self._answers, self._endpoint, received)

    async def refusal(self, key: str | None = "k-1", body: bytes = TEA, place: str = "a") -> Problem:
        with pytest.raises(Refused) as refused:
            await self.ask(key, body, place=place)
        return refused.value.problem


class Place(Input):
    place: str


@pytest.fixture
def shop(registry: Registry) -> Shop:
    return Shop(registry)


async def test_the_same_request_again_gets_the_same_answer(shop: Shop) -> None:
    first, again = await shop.ask(), await shop.ask()
    assert isinstance(first, Answered)
    assert again == replace(first, headers={"X-Number": "1", "Idempotency-Replayed": "true"})
    assert shop.done == 1


async def test_without_a_key_it_is_done_each_time(shop: Shop) -> None:
    await shop.ask(None)
    await shop.ask(None)
    assert shop.done == 2


@pytest.mark.parametrize(("body", "place"), [(b'{"what": "rum"}', "a"), (b'{"what": "tea"}', "b")])
async def test_another_request_with_the_same_key_is_refused(shop: Shop, body: bytes, place: str) -> None:
    await shop.ask()
    assert await shop.refusal(body=body, place=place) is IDEMPOTENCY_KEY_REUSED
    assert shop.done == 1


async def test_of_requests_at_once_one_is_done_and_the_others_are_refused(shop: Shop) -> None:
    shop.gate.clear()
    asked = [asyncio.create_task(shop.ask()) for _ in range(20)]
    async with asyncio.timeout(20):
        while sum(one.done() for one in asked) < 19:
            await asyncio.wait(asked, timeout=0.01)
    shop.gate.set()
    refused = [one.problem for one in await asyncio.gather(*asked, return_exceptions=True) if isinstance(one, Refused)]
    assert (shop.done, refused) == (1, [IDEMPOTENCY_KEY_IN_USE] * 19)


async def test_keys_of_different_callers_have_nothing_to_do_with_each_other(shop: Shop) -> None:
    first, other = await shop.ask(who="key_1"), await shop.ask(who="key_2")
    assert (shop.done, first) != (1, other)
    assert shop.done == 2


async def test_a_caller_that_acts_for_another_tenant_is_another_one() -> None:
    acting = {
        Caller("key_1", "r1", "main", customer=samples.call(tenant=tenant).customer).identity for tenant in (ACME, GLOBEX, None)
    }
    assert len(acting) == 3


@pytest.mark.parametrize("problem", [SLUG_TAKEN, NOT_FOUND])
async def test_a_refusal_is_kept_too(shop: Shop, problem: Problem) -> None:
    shop.fault = Refused(problem, "Why.", headers=(("X-A", "b"),), members={"errors": [{"field": "slug"}]})
    assert await shop.refusal() is problem
    shop.fault = None
    with pytest.raises(Refused) as again:
        await shop.ask()
    assert (again.value.problem, again.value.detail) == (problem, "Why.")
    assert again.value.members == {"errors": [{"field": "slug"}]}
    assert again.value.headers == (("X-A", "b"), ("Idempotency-Replayed", "true"))
    assert shop.done == 1


@pytest.mark.parametrize("fault", [Refused(WRITE_CONFLICT), Refused(RATE_LIMITED, retry_after=1)])
async def test_after_a_refusal_that_invites_to_try_again_it_is_done(shop: Shop, fault: Refused) -> None:
    shop.fault = fault
    assert await shop.refusal() is fault.problem
    shop.fault = None
    await shop.ask()
    assert shop.done == 2


async def test_faulty_input_claims_no_key(shop: Shop) -> None:
    assert await shop.refusal(body=b"{}") is INVALID_BODY
    await shop.ask()
    assert shop.done == 1


@pytest.mark.parametrize("fault", [Refused(STORE_UNAVAILABLE, retry_after=1), RuntimeError("a fault")])
async def test_what_may_have_been_done_is_not_done_again(shop: Shop, fault: Exception) -> None:
    shop.fault = fault
    with pytest.raises(type(fault)):
        await shop.ask()
    shop.fault = None
    assert await shop.refusal() is IDEMPOTENCY_KEY_IN_USE
    assert shop.done == 1


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a, b"])
async def test_a_key_is_visible_ascii_and_short(shop: Shop, key: str) -> None:
    assert await shop.refusal(key) is BAD_REQUEST
    assert shop.done == 0


async def kept(registry: Registry) -> AsyncIterator[tuple[str, dict[bytes, bytes], int]]:
    """Whatever stands in the store for idempotency keys: names, contents, milliseconds that are left."""
    call = registry.store.control.command
    found = await call("KEYS", registry.store.keys.answer("*", "*").replace("%2A", "*"))
    assert isinstance(found, list)
    for name in found:
        assert isinstance(name, bytes)
        fields, left = await call("HGETALL", name), await call("PTTL", name)
        assert isinstance(fields, list)
        assert isinstance(left, int)
        yield name.decode(), dict(zip(fields[::2], fields[1::2], strict=True)), left  # type: ignore[arg-type]


async def test_neither_secrets_nor_keys_lie_open_in_the_store_and_none_stays(shop: Shop, registry: Registry) -> None:
    await shop.ask("guess-me")
    shop.fault = RuntimeError("a fault")
    with pytest.raises(RuntimeError):
        await shop.ask("guess-me-too")
    found = [one async for one in kept(registry)]
    assert len(found) == 2
    for name, fields, left in found:
        assert "guess" not in name
        assert not any(b"guess" in value or SECRET.encode() in value or b"tea" in value for value in fields.values())
        assert 0 < left <= 24 * 3600 * 1000


async def test_an_operator_gets_the_secret_of_a_lost_answer_again_and_nobody_else_does(operator: Operator) -> None:
    once, body = {"Idempotency-Key": "k-1"}, {"name": "Acme"}
    first = await operator.http.post("/api/v1/provision/tenant", json=body, headers=once)
    again = await operator.http.post("/api/v1/provision/tenant", json=body, headers=once)
    assert (again.status_code, again.json()) == (201, first.json())
    assert first.json()["data"]["tenant_secret"].startswith("sk_")
    async with admin_client(operator.registry, {"X-Admin-Key": SECOND_KEY}) as other:
        theirs = await other.post("/api/v1/provision/tenant", json=body, headers=once)
    assert theirs.json()["data"]["tenant_id"] != first.json()["data"]["tenant_id"]
    assert (await operator.get("fetch/tenants")).json()["data"]["total"] == 2


async def test_a_key_that_is_sent_twice_is_refused(operator: Operator) -> None:
    headers = [("X-Admin-Key", ADMIN_KEY), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with admin_client(operator.registry) as http:
        answer = await http.post("/api/v1/provision/tenant", json={"name": "Acme"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
