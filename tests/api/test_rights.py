"""Who may call what, over all endpoints of the platform's API that there are: a further one is held to this by being there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import reduce
from operator import and_

import httpx
import pytest

from gateway.api.endpoint import Endpoint
from gateway.api.platform.catalogue import platform_groups
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.scopes import OWN_SCOPES, PLATFORM_SCOPES, TENANT_SCOPES
from tests.api.public import OPEN, PATHS, Platform, client
from tests.api.samples import parts_of
from tests.registry.samples import Registry

# What any credential of a tenant may ask without a scope: what it may use.
FREE = {"getBillingPlan"}


class Call:
    """An endpoint where it is mounted."""

    def __init__(self, group: str, endpoint: Endpoint) -> None:
        self.endpoint, self.group, self.is_open = endpoint, group, group in OPEN
        self._base = PATHS.get(group, f"/api/v1/{group}")
        self.named = re.findall(r"{(\w+)}", endpoint.path)

    async def by(self, caller: httpx.AsyncClient, **ids: str) -> httpx.Response:
        """Asked as in the documentation's example, but for `ids`."""
        example = {**self.endpoint.example.parameters, **ids}
        path = self._base + self.endpoint.path.format(**example)
        query = {name: value for name, value in example.items() if name not in {*self.named, "tenant_id", "key_id"}}
        body = self.endpoint.example.body
        own = None if body is None else {name: value for name, value in body.items() if name != "tenant_id"}
        return await caller.request(self.endpoint.method, path, params=query, json=own)

    def __repr__(self) -> str:
        return f"{self.endpoint.method} {self._base}{self.endpoint.path}"


@pytest.fixture
def calls(registry: Registry) -> list[Call]:
    return [Call(group, one) for group, endpoints in platform_groups(parts_of(registry)).items() for one in endpoints]


@pytest.fixture
async def own(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """Calls with a key that is bound to a tenant, and holds every scope that there is."""
    async with await platform.caller((await platform.tenant("Own")).id, OWN_SCOPES) as caller:
        yield caller


def code(answer: httpx.Response) -> str:
    return "" if answer.is_success else str(answer.json()["code"])


def as_told(answer: httpx.Response) -> Mapping[str, object]:
    return {"status": answer.status_code, **answer.json(), "request_id": None}


def store_calls(platform: Platform) -> Counter[str]:
    """How often, by name."""
    text = platform.gateway.metrics.exposition("text/plain")[0].decode()
    found = re.findall(r'^tenantgate_store_call_duration_seconds_count{script="(.*?)"} (\S+)$', text, re.M)
    return Counter({name: int(float(count)) for name, count in found})


def identified(calls: list[Call], name: str) -> Iterator[Call]:
    return (call for call in calls if name in call.named)


def test_every_call_is_a_platforms_alone_or_takes_a_scope_that_tenants_may_hold(calls: list[Call]) -> None:
    for call in calls:
        endpoint = call.endpoint
        if endpoint.scope in PLATFORM_SCOPES:
            assert endpoint.platform_only is not None, call
        elif endpoint.scope is None:
            assert call.is_open or endpoint.name in FREE, call
        else:
            assert endpoint.scope in TENANT_SCOPES, call


async def test_nobody_gets_in_without_a_credential(platform: Platform, calls: list[Call]) -> None:
    async with client(platform.gateway) as nobody:
        for call in calls:
            assert ((await call.by(nobody)).status_code == 401) != call.is_open, call


async def test_what_is_a_platforms_alone_is_refused_to_a_tenants_key_whatever_it_holds(
    platform: Platform, calls: list[Call], own: httpx.AsyncClient
) -> None:
    async with await platform.caller((await platform.tenant()).id, frozenset()) as weak:
        for call in calls:
            for caller in (own, weak):
                if call.endpoint.platform_only is not None:
                    assert code(await call.by(caller)) == call.endpoint.platform_only.code, call


async def test_a_call_takes_its_scope_of_platforms_and_tenants(platform: Platform, calls: list[Call]) -> None:
    tenant = await platform.tenant()
    for scope in {call.endpoint.scope for call in calls} - {None}:
        assert scope is not None
        async with (
            await platform.caller("main", OWN_SCOPES - {scope}) as root,
            await platform.caller(tenant.id, OWN_SCOPES - {scope}) as bound,
        ):
            for call in (one for one in calls if one.endpoint.scope == scope):
                for caller in (root,) if call.endpoint.platform_only else (root, bound):
                    answer = await call.by(caller)
                    assert code(answer) == "INSUFFICIENT_SCOPE", call
                    assert f'scope="{scope}"' in answer.headers["www-authenticate"]


async def test_a_sibling_is_told_as_a_tenant_that_does_not_exist_and_at_the_same_cost(
    platform: Platform, calls: list[Call], own: httpx.AsyncClient
) -> None:
    hidden = [(await platform.tenant("Sibling")).typeid, (await platform.tenant("Foreign", org="other")).typeid]
    asked = [call for call in identified(calls, "tenant_id") if call.endpoint.platform_only is None]
    assert asked
    assert store_calls(platform).total() > 0
    for call in asked:
        told, cost = [], []
        for tenant_id in (typeid("tnt", new_id()), *hidden):
            answer = await call.by(own, tenant_id=tenant_id)
            assert answer.status_code == 404, call
            told.append(as_told(answer))
            cost.append(await _cost(platform, call, own, tenant_id=tenant_id))
        assert told == [told[0]] * 3, call
        assert cost == [Counter()] * 3, call


async def test_what_a_sibling_has_made_is_told_as_what_does_not_exist_and_at_the_same_cost(
    platform: Platform, calls: list[Call], own: httpx.AsyncClient
) -> None:
    async with await platform.caller((await platform.tenant("Sibling")).id, OWN_SCOPES) as sibling:
        for making in calls:
            endpoint = making.endpoint
            if endpoint.method != "POST" or endpoint.path != "" or endpoint.platform_only is not None:
                continue
            made = await making.by(sibling)
            assert made.status_code == 201, made.text
            for call in (one for one in calls if one.group == making.group and one.named):
                name, told, cost = call.named[0], [], []
                missing = endpoint.example.shown["id"]
                for identifier in (made.json()["id"], missing):
                    told.append(as_told(await call.by(own, **{name: identifier})))
                    cost.append(await _cost(platform, call, own, **{name: identifier}))
                assert told[0] == told[1], call
                assert told[0]["status"] == 404, call
                assert cost[0] == cost[1], call


async def test_another_platforms_things_are_told_as_what_does_not_exist_and_stay_as_they_are(
    platform: Platform, calls: list[Call]
) -> None:
    tenant = await platform.tenant("Ours")
    key = (await platform.gateway.keys.mint(tenant.id, "ours", TENANT_SCOPES, created_by="tests")).key
    ours = {"tenant_id": tenant.typeid, "key_id": key.id}
    missing = {"tenant_id": typeid("tnt", new_id()), "key_id": typeid("key", new_id())}
    before = await platform.gateway.tenants.get(tenant.id)
    async with await platform.caller("other", OWN_SCOPES) as foreign:
        for name, known in ours.items():
            for call in identified(calls, name):
                there, nowhere = [await call.by(foreign, **{name: one}) for one in (known, missing[name])]
                assert there.status_code == 404, call
                assert as_told(there) == as_told(nowhere), call
    assert await platform.gateway.tenants.get(tenant.id) == before


async def test_no_list_shows_what_is_somebody_elses(platform: Platform, calls: list[Call], own: httpx.AsyncClient) -> None:
    sibling = await platform.tenant("Sibling")
    key = (await platform.gateway.keys.mint(sibling.id, "theirs", TENANT_SCOPES, created_by="tests")).key
    async with await platform.caller("other", OWN_SCOPES) as foreign:
        for call in (one for one in calls if one.endpoint.method == "GET" and not one.named):
            for caller in (own, foreign):
                text = (await call.by(caller)).text
                assert not any(secret in text for secret in (sibling.typeid, str(sibling.id), key.id, "Sibling")), call


async def test_a_tenants_key_names_no_tenant_by_reference_wherever(
    platform: Platform, calls: list[Call], own: httpx.AsyncClient
) -> None:
    own.headers["X-Tenant-Ref"] = "cust_1"
    for call in calls:
        if not call.is_open:
            assert code(await call.by(own)) == "TENANT_KEY_FORBIDDEN", call
    assert (await platform.root.get("/api/v1/tenants", params={"external_ref": "cust_1"})).json()["data"] == []


async def _cost(platform: Platform, call: Call, caller: httpx.AsyncClient, **ids: str) -> Counter[str]:
    """The calls of the store that the call makes each time; others do something in between now and then."""
    costs = []
    for _ in range(7):
        before = store_calls(platform)
        await call.by(caller, **ids)
        costs.append(store_calls(platform) - before)
    return reduce(and_, costs)
