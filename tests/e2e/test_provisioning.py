"""A platform that names its customers by its own references, and has their tenants made on the way."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from .conftest import World
from .recorder import Recorder
from .stack import GatewayProcess, environment
from .test_lifecycle import linux
from .test_limits import _connect

THINGS = "/api/things"

pytestmark = linux

Fresh = Callable[[], World]


@pytest.fixture(scope="module")
def fresh(launch: Callable[..., GatewayProcess], upstream: Recorder, store_socket: Path) -> Fresh:
    """Makes gateways of four workers, with a place of their own in the store."""

    def start() -> World:
        environ, prefix = environment() | {"TENANTGATE_WORKERS": "4"}, f"e2e-{uuid4().hex[:8]}"
        return World(launch(upstream.url, environ, prefix), upstream, f"unix://{store_socket}", prefix, environ)

    return start


@pytest.fixture(scope="module")
def four(fresh: Fresh) -> World:
    return fresh()


@pytest.fixture(scope="module")
def key(four: World) -> str:
    return four.mint("main", frozenset({"read:things", "write:things"}))


async def asked(world: World, key: str, refs: list[str]) -> list[tuple[int, dict[str, str]]]:
    """All at once, each on a connection of its own: status and headers of the answers."""
    connections = await asyncio.gather(*(_connect(world.gateway.public_url) for _ in refs))
    for (_, writer), ref in zip(connections, refs, strict=True):
        head = f"GET {THINGS} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nX-Api-Key: {key}\r\nX-Tenant-Ref: {ref}\r\n\r\n"
        writer.write(head.encode())
    answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return [_read(answer.partition(b"\r\n\r\n")[0].decode()) for answer in answers]


def _read(head: str) -> tuple[int, dict[str, str]]:
    status, *fields = head.split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    return int(status[9:12]), {name.lower(): value for name, _, value in pairs}


def named(world: World, key: str, ref: str, method: str = "GET", path: str = THINGS):
    return world.gateway.public.request(method, path, headers={"X-Api-Key": key, "X-Tenant-Ref": ref})


def tenant_of(world: World, tenant_id: str) -> dict[str, object]:
    data: dict[str, object] = world.gateway.admin.get("/fetch/tenant", params={"tenant_id": tenant_id}).json()["data"]
    return data


def test_200_first_requests_at_once_make_one_tenant(four: World, key: str) -> None:
    ref = f"cust_{uuid4().hex[:8]}"
    answers = asyncio.run(asked(four, key, [ref] * 200))
    assert Counter(status for status, _ in answers) == {200: 200}
    (tenant_id,) = {headers["x-tenant-id"] for _, headers in answers}
    assert sum(headers.get("x-tenant-created") == "true" for _, headers in answers) == 1
    assert tenant_of(four, tenant_id)["external_ref"] == ref
    audit = four.gateway.admin.get("/fetch/audit", params={"tenant_id": tenant_id}).json()["data"]["entries"]
    assert [(entry["action"], entry["metadata"]["auto"], entry["metadata"]["ref"]) for entry in audit] == [
        ("tenant.created", True, ref)
    ]


def test_the_answer_that_says_created_is_never_given_again(four: World, key: str) -> None:
    ref = f"cust_{uuid4().hex[:8]}"
    answers = [named(four, key, ref) for _ in range(30)]
    assert [answer.status_code for answer in answers] == [200] * 30
    assert ["x-tenant-created" in answer.headers for answer in answers] == [True] + [False] * 29
    assert len({answer.headers["x-tenant-id"] for answer in answers}) == 1


def test_the_upstream_is_told_the_new_tenant_as_any_other(four: World, key: str) -> None:
    ref, path = f"Cust {uuid4().hex[:8]}", f"/api/{uuid4().hex}"
    answer = named(four, key, ref, path=path)
    (seen,) = four.upstream.at(path)
    told = tenant_of(four, answer.headers["x-tenant-id"])
    assert (seen.header("X-Tenant"), seen.header("X-Tenant-Schema")) == (told["slug"], told["schema"])
    assert (seen.header("X-Tenant-Ref"), seen.header("X-Tenant-Created")) == (None, None)


def test_a_slug_that_is_taken_gets_six_characters_more(four: World, key: str) -> None:
    taken = four.customer()
    slug = str(tenant_of(four, named(four, key, taken.slug).headers["x-tenant-id"])["slug"])
    assert re.fullmatch(re.escape(taken.slug) + "-[a-z0-9]{6}", slug)


def test_the_61st_of_a_minute_is_refused_and_known_ones_pass(fresh: Fresh) -> None:
    world = fresh()
    key = world.mint("main")
    answers = asyncio.run(asked(world, key, [f"cust_{number}" for number in range(61)]))
    assert Counter(status for status, _ in answers) == {200: 60, 429: 1}
    (refused,) = (headers for status, headers in answers if status == 429)
    assert 0 < int(refused["retry-after"]) <= 60
    again = asyncio.run(asked(world, key, [f"cust_{number}" for number in range(61)]))
    assert [status for status, _ in again] == [status for status, _ in answers]
    answer = named(world, key, "one more")
    assert (answer.status_code, answer.json()["code"]) == (429, "TENANT_AUTO_CREATE_RATE_LIMITED")
    assert "x-tenant-id" not in answer.headers


@pytest.mark.parametrize("call", ["suspend", "archive"])
def test_a_blocked_tenant_is_told_with_its_id(four: World, key: str, call: str) -> None:
    ref = f"cust_{uuid4().hex[:8]}"
    tenant_id = named(four, key, ref).headers["x-tenant-id"]
    four.gateway.admin.post(f"/{call}/tenant", params={"tenant_id": tenant_id}).raise_for_status()
    for path in (THINGS, "/support/x"):
        answer = named(four, key, ref, path=path)
        assert (answer.status_code, answer.json()["code"]) == (409, "TENANT_NOT_USABLE")
        assert answer.headers["x-tenant-id"] == tenant_id


def test_a_tenants_own_key_names_nobody(four: World) -> None:
    bound, ref = four.mint(four.customer().id), f"cust_{uuid4().hex[:8]}"
    answer = named(four, bound, ref)
    assert (answer.status_code, answer.json()["code"]) == (403, "TENANT_KEY_FORBIDDEN")
    assert "x-tenant-id" not in answer.headers


def test_without_the_routes_scope_no_tenant_is_made(four: World) -> None:
    powerless, ref = four.mint("main", frozenset({"read:things"})), f"cust_{uuid4().hex[:8]}"
    before = four.gateway.admin.get("/fetch/tenants").json()["data"]["total"]
    answer = named(four, powerless, ref, path="/scoped/x")
    assert (answer.status_code, answer.json()["code"]) == (403, "INSUFFICIENT_SCOPE")
    assert four.gateway.admin.get("/fetch/tenants").json()["data"]["total"] == before


@pytest.mark.parametrize("ref", ["", "r" * 1024, "../x", "a/b"])
def test_what_is_no_reference_is_refused(four: World, key: str, ref: str) -> None:
    assert named(four, key, ref).status_code == 400


@pytest.mark.parametrize("ref", ["pg_catalog", "public", "information_schema"])
def test_no_reference_becomes_a_schema_of_the_databases_own(four: World, key: str, ref: str) -> None:
    told = tenant_of(four, named(four, key, ref).headers["x-tenant-id"])
    assert told["name"] == ref
    assert not re.match("pg_|public$|information_schema$", str(told["schema"]))


def test_what_the_gateway_answers_itself_carries_the_tenants_id_too(four: World, key: str) -> None:
    ref = f"cust_{uuid4().hex[:8]}"
    first, second = (named(four, key, ref, path="/api/v1/billing/plan") for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["x-tenant-id"] == second.headers["x-tenant-id"]
    told = tenant_of(four, first.headers["x-tenant-id"])
    assert first.json()["tenant_id"] in (first.headers["x-tenant-id"], told["tenant_id"])
    assert ("x-tenant-created" in first.headers, "x-tenant-created" in second.headers) == (True, False)


def test_a_read_only_tenant_reads_and_does_not_write(four: World) -> None:
    platform = four.mint("main", frozenset({"write:tenants"}))
    headers = {"X-Api-Key": platform, "X-Tenant-Ref": f"cust_{uuid4().hex[:8]}"}
    tenant_id = four.gateway.public.get(THINGS, headers=headers).headers["x-tenant-id"]
    path = f"/api/v1/tenants/{tenant_id}"
    four.gateway.public.patch(path, json={"read_only": True}, headers={"X-Api-Key": platform}).raise_for_status()
    for _ in range(8):
        assert four.gateway.public.get(THINGS, headers=headers).status_code == 200
        answer = four.gateway.public.post(THINGS, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "TENANT_READ_ONLY")
        assert answer.headers["x-tenant-id"] == tenant_id


@pytest.mark.parametrize(("method", "below"), [("POST", "/suspend"), ("DELETE", "")])
def test_once_a_platform_has_blocked_a_tenant_no_worker_serves_it(four: World, method: str, below: str) -> None:
    platform, tenant = four.mint("main", frozenset({"write:tenants"})), four.customer()
    bound = four.mint(tenant.id)

    async def statuses() -> Counter[int]:
        # A tenant's own key, and no reference.
        connections = await asyncio.gather(*(_connect(four.gateway.public_url) for _ in range(40)))
        for _, writer in connections:
            writer.write(f"GET {THINGS} HTTP/1.1\r\nHost: g\r\nConnection: close\r\nX-Api-Key: {bound}\r\n\r\n".encode())
        answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
        for _, writer in connections:
            writer.close()
        return Counter(int(answer[9:12]) for answer in answers)

    assert asyncio.run(statuses()) == {200: 40}
    path = f"/api/v1/tenants/{tenant.id}{below}"
    four.gateway.public.request(method, path, headers={"X-Api-Key": platform}).raise_for_status()
    assert asyncio.run(statuses()) == {403: 40}


def test_a_tenant_with_a_handshake_is_served_once_its_backend_has_acknowledged_it(
    launch: Callable[..., GatewayProcess], upstream: Recorder, store_socket: Path
) -> None:
    environ, prefix = environment() | {"TENANTGATE__ORGS__MAIN__PROVISIONING": "handshake"}, f"e2e-{uuid4().hex[:8]}"
    world = World(launch(upstream.url, environ, prefix), upstream, f"unix://{store_socket}", prefix, environ)
    key, path = world.mint("main", frozenset({"write:tenants"})), f"/api/{uuid4().hex}"
    for created in (True, False):
        answer = named(world, key, "cust_1", path=path)
        assert (answer.status_code, answer.json()["code"]) == (503, "TENANT_PROVISIONING")
        assert (int(answer.headers["retry-after"]) > 0, "x-tenant-created" in answer.headers) == (True, created)
    tenant_id = answer.headers["x-tenant-id"]
    assert world.upstream.at(path) == []
    acknowledged = world.gateway.public.post(f"/api/v1/tenants/{tenant_id}/acknowledge", headers={"X-Api-Key": key})
    assert (acknowledged.status_code, acknowledged.json()["status"]) == (200, "active")
    assert named(world, key, "cust_1", path=path).status_code == 200
