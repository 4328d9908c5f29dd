"""Domains on the public listener: claimed by several, proved by one, over a DNS server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.tenancy.domain import DOMAINS_MAX
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.tenant import Status
from tests.api.public import Platform, opened
from tests.api.samples import Operator
from tests.registry.dns_server import Zone, served

DOMAINS = "/api/v1/domains"


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    async with served() as zone:
        yield zone


@pytest.fixture
async def platform(store_url: str, key_prefix: str, zone: Zone) -> AsyncIterator[Platform]:
    async with opened(store_url, key_prefix, domains={"resolver": zone.address, "timeout": "500ms"}) as platform:
        yield platform


async def claimed(caller: httpx.AsyncClient, domain: str = "mail.acme.com", **fields: object) -> dict[str, Any]:
    answer = await caller.post(DOMAINS, json={"domain": domain, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def publish(zone: Zone, domain: Mapping[str, Any]) -> None:
    zone.texts.setdefault(domain["record"]["name"], []).append(domain["record"]["value"])


async def proved(caller: httpx.AsyncClient, zone: Zone, domain: str, **fields: object) -> dict[str, Any]:
    made = await claimed(caller, domain, **fields)
    publish(zone, made)
    answer = await caller.post(f"{DOMAINS}/{made['id']}/verify")
    assert answer.status_code == 200, answer.text
    verified: dict[str, Any] = answer.json()
    return verified


async def listed(caller: httpx.AsyncClient, **query: object) -> list[str]:
    answer = await caller.get(DOMAINS, params=query)
    assert answer.status_code == 200, answer.text
    return [one["domain"] for one in answer.json()["data"]]


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_platform_claims_a_domain_for_a_tenant_and_proves_it(platform: Platform, zone: Zone) -> None:
    tenant = await platform.tenant()
    made = await claimed(platform.root, "mail.acme.com", tenant_id=tenant.typeid)
    assert (made["domain"], made["tenant_id"], made["status"]) == ("mail.acme.com", tenant.typeid, "pending")
    assert made["record"]["type"] == "TXT"
    assert made["record"]["name"] == "_tenantgate.mail.acme.com"
    publish(zone, made)
    answer = await platform.root.post(f"{DOMAINS}/{made['id']}/verify")
    assert (answer.status_code, answer.json()["status"]) == (200, "verified")
    assert answer.json()["verified_at"]
    assert (await platform.root.get(f"{DOMAINS}/{made['id']}")).json() == answer.json()


async def test_a_domain_without_a_tenant_is_the_organizations(platform: Platform, zone: Zone) -> None:
    made = await proved(platform.root, zone, "acme.com")
    assert made["tenant_id"] is None
    assert (await platform.root.get(f"{DOMAINS}/{made['id']}")).json() == made


async def test_without_the_record_nothing_is_proved_and_what_is_there_is_told(platform: Platform, zone: Zone) -> None:
    made = await claimed(platform.root)
    path = f"{DOMAINS}/{made['id']}"
    assert code(await platform.root.post(f"{path}/verify")) == (409, "DOMAIN_NOT_VERIFIED")
    zone.texts[made["record"]["name"]] = ["tenantgate-verify=other"]
    answer = await platform.root.post(f"{path}/verify")
    assert code(answer) == (409, "DOMAIN_NOT_VERIFIED")
    assert "tenantgate-verify=other" in answer.json()["detail"]
    zone.texts[made["record"]["name"]] = [f"{number}" * 500 for number in range(10)]
    assert len((await platform.root.post(f"{path}/verify")).json()["detail"]) < 800
    assert (await platform.root.get(path)).json()["status"] == "pending"


async def test_a_resolver_that_fails_is_no_verdict(platform: Platform, zone: Zone) -> None:
    made = await claimed(platform.root)
    zone.failing = True
    answer = await platform.root.post(f"{DOMAINS}/{made['id']}/verify")
    assert code(answer) == (503, "RESOLVER_UNAVAILABLE")
    assert answer.headers["retry-after"]


async def test_what_is_proved_is_not_looked_up_again(platform: Platform, zone: Zone) -> None:
    made = await proved(platform.root, zone, "acme.com")
    zone.failing = True
    assert (await platform.root.post(f"{DOMAINS}/{made['id']}/verify")).json() == made


async def test_a_domain_is_checked_ten_times_a_minute(platform: Platform, zone: Zone) -> None:
    made = await claimed(platform.root)
    path = f"{DOMAINS}/{made['id']}/verify"
    answers = [code(await platform.root.post(path)) for _ in range(10)]
    assert answers == [(409, "DOMAIN_NOT_VERIFIED")] * 10
    refused = await platform.root.post(path)
    assert code(refused) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert len(zone.asked) == 10


@pytest.mark.parametrize(
    "domain",
    ["", "acme", "192.0.2.1", "[::1]", "acme.com.", "http://acme.com", "acme.com:8080", "-a.com", "a..com", "a_b.com",
     "a b.com", "*.acme.com", "x@acme.com", "acme.123", f"{'a' * 64}.com", ".".join(["a" * 60] * 5), "ac\u202eme.com",
     "acme.com\n"],
)  # fmt: skip
async def test_what_is_no_domain_is_refused_by_its_field(platform: Platform, domain: str) -> None:
    answer = await platform.root.post(DOMAINS, json={"domain": domain})
    assert code(answer) == (422, "INVALID_BODY")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/domain"]


async def test_names_are_kept_in_one_form(platform: Platform) -> None:
    assert (await claimed(platform.root, "Mail.ACME.com"))["domain"] == "mail.acme.com"
    assert (await claimed(platform.root, "B\u00fccher.example"))["domain"] == "xn--bcher-kva.example"
    answer = await platform.root.post(DOMAINS, json={"domain": "MAIL.acme.com"})
    assert code(answer) == (409, "DOMAIN_TAKEN")


async def test_several_may_claim_a_name_and_the_first_who_proves_it_has_it(platform: Platform, zone: Zone) -> None:
    first, second = await platform.tenant("First"), await platform.tenant("Second")
    claims = [await claimed(platform.root, "acme.com", tenant_id=one.typeid) for one in (first, second)]
    for claim in claims:
        publish(zone, claim)
    assert (await platform.root.post(f"{DOMAINS}/{claims[1]['id']}/verify")).status_code == 200
    assert code(await platform.root.post(f"{DOMAINS}/{claims[0]['id']}/verify")) == (409, "DOMAIN_TAKEN")
    assert (await platform.root.delete(f"{DOMAINS}/{claims[1]['id']}")).status_code == 200
    assert (await platform.root.post(f"{DOMAINS}/{claims[0]['id']}/verify")).status_code == 200


async def test_of_many_who_prove_a_name_at_once_one_has_it(platform: Platform, zone: Zone) -> None:
    tenants = [await platform.tenant(f"T{number}") for number in range(8)]
    claims = [await claimed(platform.root, "acme.com", tenant_id=one.typeid) for one in tenants]
    for claim in claims:
        publish(zone, claim)
    answers = await asyncio.gather(*(platform.root.post(f"{DOMAINS}/{claim['id']}/verify") for claim in claims))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"DOMAIN_TAKEN"}


async def test_a_deleted_domain_is_gone_and_may_be_claimed_again(platform: Platform, zone: Zone) -> None:
    made = await proved(platform.root, zone, "acme.com")
    assert (await platform.root.delete(f"{DOMAINS}/{made['id']}")).json() == made
    for answer in (
        await platform.root.get(f"{DOMAINS}/{made['id']}"),
        await platform.root.delete(f"{DOMAINS}/{made['id']}"),
        await platform.root.post(f"{DOMAINS}/{made['id']}/verify"),
    ):
        assert code(answer) == (404, "NOT_FOUND")
    assert await listed(platform.root) == []
    again = await proved(platform.root, zone, "acme.com")
    assert again["record"]["value"] != made["record"]["value"]


async def test_an_owner_has_so_many_domains_at_most(platform: Platform) -> None:
    for number in range(DOMAINS_MAX):
        await claimed(platform.root, f"d{number}.example")
    assert code(await platform.root.post(DOMAINS, json={"domain": "one.more.example"})) == (409, "TOO_MANY_DOMAINS")
    assert len(await listed(platform.root, limit=100)) == DOMAINS_MAX


async def test_a_platform_lists_all_the_newest_first_in_pages(platform: Platform) -> None:
    tenant = await platform.tenant()
    for number in range(5):
        await claimed(platform.root, f"d{number}.example", **({"tenant_id": tenant.typeid} if number % 2 else {}))
        await asyncio.sleep(0.002)
    assert await listed(platform.root) == [f"d{number}.example" for number in (4, 3, 2, 1, 0)]
    assert await listed(platform.root, tenant_id=tenant.typeid) == ["d3.example", "d1.example"]
    async with await platform.caller(tenant.id) as bound:
        for caller in (platform.root, bound):
            seen, cursor = [], None
            while cursor is not None or not seen:
                found = await caller.get(DOMAINS, params={"limit": 2, **({} if cursor is None else {"cursor": cursor})})
                seen += [one["domain"] for one in found.json()["data"]]
                cursor = found.json()["next_cursor"]
            assert seen == [f"d{number}.example" for number in (4, 3, 2, 1, 0)]


async def test_a_bound_key_has_its_own_and_sees_the_organizations(platform: Platform, zone: Zone) -> None:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    shared = await proved(platform.root, zone, "shared.example")
    hidden = await claimed(platform.root, "hidden.example", tenant_id=sibling.typeid)
    async with await platform.caller(own.id) as bound:
        made = await proved(bound, zone, "own.example")
        assert made["tenant_id"] == own.typeid
        assert await listed(bound) == ["own.example", "shared.example"]
        assert (await bound.get(f"{DOMAINS}/{shared['id']}")).json() == shared
        for path in (f"{DOMAINS}/{hidden['id']}", f"{DOMAINS}/{typeid('dom', new_id())}"):
            assert code(await bound.get(path)) == (404, "NOT_FOUND")
            assert code(await bound.delete(path)) == (404, "NOT_FOUND")
            assert code(await bound.post(f"{path}/verify")) == (404, "NOT_FOUND")
        assert code(await bound.delete(f"{DOMAINS}/{shared['id']}")) == (403, "PLATFORM_ONLY")
        assert code(await bound.post(f"{DOMAINS}/{shared['id']}/verify")) == (403, "PLATFORM_ONLY")
        assert (await bound.delete(f"{DOMAINS}/{made['id']}")).status_code == 200


async def test_nobody_claims_a_domain_for_a_tenant_that_is_not_theirs_to_name(platform: Platform) -> None:
    own, sibling, foreign = await platform.tenant("Own"), await platform.tenant("Sib"), await platform.tenant("X", "other")
    async with await platform.caller(own.id) as bound:
        for caller, tenant in (
            (bound, sibling.typeid),
            (bound, typeid("tnt", new_id())),
            (platform.root, foreign.typeid),
            (platform.root, typeid("tnt", new_id())),
        ):
            answer = await caller.post(DOMAINS, json={"domain": "acme.com", "tenant_id": tenant})
            assert code(answer) == (422, "INVALID_BODY")
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/tenant_id"]
        assert (await claimed(bound, "acme.com", tenant_id=own.typeid))["tenant_id"] == own.typeid
        assert code(await bound.get(DOMAINS, params={"tenant_id": sibling.typeid})) == (404, "NOT_FOUND")


async def test_another_organizations_domains_do_not_exist(platform: Platform) -> None:
    async with await platform.caller("other") as stranger:
        made = await claimed(stranger, "acme.com")
        assert await listed(platform.root) == []
        assert code(await platform.root.get(f"{DOMAINS}/{made['id']}")) == (404, "NOT_FOUND")
        assert code(await platform.root.delete(f"{DOMAINS}/{made['id']}")) == (404, "NOT_FOUND")


async def test_a_key_is_restricted_to_domains_that_its_owner_can_use(platform: Platform) -> None:
    tenant, sibling = await platform.tenant(), await platform.tenant("Sibling")
    own = (await claimed(platform.root, "own.example", tenant_id=tenant.typeid))["id"]
    theirs = (await claimed(platform.root, "theirs.example", tenant_id=sibling.typeid))["id"]
    shared = (await claimed(platform.root, "shared.example"))["id"]
    keys, bound = "/api/v1/keys", {"name": "k", "tenant_id": tenant.typeid}
    made = await platform.root.post(keys, json={**bound, "allowed_domain_ids": [own, shared]})
    assert (made.status_code, made.json()["allowed_domain_ids"]) == (201, [own, shared])
    assert (await platform.root.post(keys, json={"name": "k", "allowed_domain_ids": [theirs]})).status_code == 201
    path = f"{keys}/{made.json()['id']}"
    for unknown in (theirs, typeid("dom", new_id())):
        for answer in (
            await platform.root.post(keys, json={**bound, "allowed_domain_ids": [own, unknown]}),
            await platform.root.patch(path, json={"allowed_domain_ids": [unknown]}),
        ):
            assert code(answer) == (422, "INVALID_BODY")
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/allowed_domain_ids"]
    assert (await platform.root.patch(path, json={"allowed_domain_ids": []})).json()["allowed_domain_ids"] == []


async def test_a_root_key_is_restricted_to_domains_that_there_are(operator: Operator) -> None:
    answer = await operator.post("mint/root-key", {"name": "k", "allowed_domain_ids": [typeid("dom", new_id())]})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")


async def test_without_the_scope_nothing_is_told(platform: Platform) -> None:
    async with await platform.caller("main", frozenset({"read:tenants"})) as caller:
        assert code(await caller.get(DOMAINS)) == (403, "INSUFFICIENT_SCOPE")
        assert code(await caller.post(DOMAINS, json={"domain": "acme.com"})) == (403, "INSUFFICIENT_SCOPE")


async def test_an_archived_tenant_gets_no_more_domains_and_may_lose_them(platform: Platform, zone: Zone) -> None:
    tenant = await platform.tenant()
    made = await proved(platform.root, zone, "acme.com", tenant_id=tenant.typeid)
    waiting = await claimed(platform.root, "later.example", tenant_id=tenant.typeid)
    publish(zone, waiting)
    await platform.gateway.tenants.set_status(tenant.id, Status.ARCHIVED)
    answer = await platform.root.post(DOMAINS, json={"domain": "more.example", "tenant_id": tenant.typeid})
    assert code(answer) == (409, "TENANT_ARCHIVED")
    assert code(await platform.root.post(f"{DOMAINS}/{waiting['id']}/verify")) == (409, "TENANT_ARCHIVED")
    assert (await platform.root.delete(f"{DOMAINS}/{made['id']}")).status_code == 200
    assert (await proved(platform.root, zone, "acme.com"))["tenant_id"] is None


@pytest.mark.parametrize("name", ["dom_none", "0", "tnt_01kj9je6hbfgyrwkttbdjcv7gf"])
async def test_what_is_no_domains_id_is_not_found(platform: Platform, name: str) -> None:
    assert code(await platform.root.get(f"{DOMAINS}/{name}")) == (404, "NOT_FOUND")
