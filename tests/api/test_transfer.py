"""The whole state, out of one gateway and into another that has another encryption key."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from gateway.ledger.naming import expiry_of
from gateway.pipeline.lookup import OwnerOfKey
from gateway.registry.audit_verify import verify
from gateway.registry.cipher import Cipher
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Status
from tests.api.samples import ADMIN_KEY, Operator, admin_client
from tests.registry.samples import registry_over

KEY = b64encode(b"e" * 32).decode()
KEYED = {"X-Export-Key": KEY}
PERIOD = "2026-05"


@pytest.fixture
async def target(store_url: str, key_prefix: str) -> AsyncIterator[Operator]:
    """Another gateway: nothing is stored, and its encryption key is its own."""
    store = Store(store_url, prefix=f"{key_prefix}-target", deadline=5.0)
    registry = registry_over(store, Cipher(b64encode(b"t" * 32).decode()))
    async with admin_client(registry, {"X-Admin-Key": ADMIN_KEY}) as http:
        yield Operator(http, registry)
    await store.close()


@dataclass
class Full:
    """A gateway with something of everything."""

    acme: UUID
    globex: UUID
    tenant_key: str
    root_key: str
    secret: str


@pytest.fixture
async def full(operator: Operator) -> Full:
    registry = operator.registry
    acme = await registry.tenants.create(NewTenant("platform", "Acme", external_ref="cust_1"))
    await registry.changes.tenant(
        acme.tenant.id,
        lambda tenant: replace(tenant, origins=("https://acme.example",), caps={"emails": 7}),
        registry.tenants._act("updated", {}),
    )
    globex = await registry.tenants.create(NewTenant("other", "Globex"))
    await registry.tenants.set_status(globex.tenant.id, Status.SUSPENDED, "late")
    tenant_key = await registry.keys.mint(acme.tenant.id, "bound", frozenset({"read:usage"}), created_by="tests")
    root_key = await registry.keys.mint("platform", "root", frozenset({"read:tenants"}), created_by="tests")
    keys, run = registry.store.keys, registry.store.control.command
    tag = tenant_tag(acme.tenant.id)
    await run("HSET", keys.usage(tag, PERIOD), "emails", "5")
    await run("HSET", keys.credential_usage(tag, PERIOD), f"emails {tenant_key.key.id}", "5")
    await run("HSET", keys.usage(org_tag("platform"), PERIOD), "emails", "5")
    await run("HSET", keys.resources(tag), "users", "3")
    return Full(acme.tenant.id, globex.tenant.id, tenant_key.text, root_key.text, acme.secret)


async def exported(operator: Operator, headers: dict[str, str] | None = None, **query: str) -> bytes:
    answer = await operator.http.get("/api/v1/export", headers=headers or {}, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl"), answer.text
    return answer.content


def lines(export: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.splitlines()]


async def sent(operator: Operator, export: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await operator.http.post("/api/v1/import", content=export, headers=headers or {})


async def imported(operator: Operator, export: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await sent(operator, export, headers)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_what_was_exported_is_the_same_after_its_import(operator: Operator, full: Full, target: Operator) -> None:
    report = await imported(target, await exported(operator, KEYED), KEYED)
    assert (report["conflicting"], report["present"], report["complete"]) == (0, 0, True)
    for tenant in (full.acme, full.globex):
        assert await target.registry.tenants.get(tenant) == await operator.registry.tenants.get(tenant)
    assert await target.registry.keys.list("platform") == await operator.registry.keys.list("platform")


async def test_credentials_and_names_lead_to_their_owners_after_an_import(
    operator: Operator, full: Full, target: Operator
) -> None:
    await imported(target, await exported(operator, KEYED), KEYED)
    there, here = target.registry, operator.registry
    acme = await here.tenants.get(full.acme)
    pairs = [
        (one.store.keys.slug("acme"), one.store.keys.ref("platform", "cust_1"), one.store.keys.origin("https://acme.example"))
        for one in (here, there)
    ]
    names = [
        [*pair, one.store.keys.widget_key(acme.widget_keys[0].value), one.store.keys.api_key(acme.keys[0].digest)]
        for pair, one in zip(pairs, (here, there), strict=True)
    ]
    for before, after in zip(*names, strict=True):
        assert await there.store.control.command("TYPE", after) != b"none", after
        if await here.store.control.command("TYPE", before) == b"string":
            assert await there.store.control.command("GET", after) == await here.store.control.command("GET", before)
    listed = [tenant["tenant_id"] for tenant in (await target.get("fetch/tenants")).json()["data"]["tenants"]]
    assert listed == [str(full.globex), str(full.acme)]
    assert (await target.post("provision/tenant", {"name": "Else", "slug": "acme"})).json()["code"] == "SLUG_TAKEN"


async def test_the_trail_goes_on_where_it_was(operator: Operator, full: Full, target: Operator) -> None:
    await imported(target, await exported(operator, KEYED), KEYED)
    before, after = await verify(operator.registry.audit, "platform"), await verify(target.registry.audit, "platform")
    assert (after.broken, after.last, after.head) == (None, before.last, before.head)
    await target.post("suspend/tenant", tenant_id=str(full.acme))
    went_on = await verify(target.registry.audit, "platform")
    assert (went_on.broken, went_on.last) == (None, before.last + 1)


async def test_webhooks_are_not_told_again_of_what_has_happened_before(
    operator: Operator, full: Full, target: Operator
) -> None:
    await imported(target, await exported(operator, KEYED), KEYED)
    last = (await verify(target.registry.audit, "platform")).last
    cursor = target.registry.store.keys.webhook_cursor("platform")
    # Both entries of records that were restored stand in the trail already, so there is none after it.
    assert await target.registry.store.control.command("GET", cursor) == str(last).encode()


async def test_counters_are_as_they_were_and_expire(operator: Operator, full: Full, target: Operator) -> None:
    await imported(target, await exported(operator, KEYED), KEYED)
    keys, run, tag = target.registry.store.keys, target.registry.store.control.command, tenant_tag(full.acme)
    assert await run("HGETALL", keys.usage(tag, PERIOD)) == [b"emails", b"5"]
    assert await run("HGET", keys.usage(org_tag("platform"), PERIOD), "emails") == b"5"
    assert await run("HGETALL", keys.resources(tag)) == [b"users", b"3"]
    for key in (keys.usage(tag, PERIOD), keys.credential_usage(tag, PERIOD)):
        assert await run("EXPIRETIME", key) == expiry_of(PERIOD)


async def test_an_import_that_is_repeated_changes_nothing(operator: Operator, full: Full, target: Operator) -> None:
    export = await exported(operator, KEYED)
    first = await imported(target, export, KEYED)
    keys, run = target.registry.store.keys, target.registry.store.control.command
    await run("HINCRBY", keys.usage(tenant_tag(full.acme), PERIOD), "emails", "1")
    again = await imported(target, export, KEYED)
    assert (again["restored"], again["present"], again["conflicting"]) == (0, first["restored"], 0)
    assert await run("HGET", keys.usage(tenant_tag(full.acme), PERIOD), "emails") == b"6"


async def test_an_import_that_broke_off_is_finished_by_another(operator: Operator, full: Full, target: Operator) -> None:
    export = await exported(operator, KEYED)
    part = export[: export.index(str(full.globex).encode(), export.index(b'"kind":"tenant"'))]
    assert (await sent(target, part, KEYED)).status_code == 422
    report = await imported(target, export, KEYED)
    assert report["present"] > 0
    assert await target.registry.tenants.get(full.globex) == await operator.registry.tenants.get(full.globex)


async def test_an_export_goes_on_after_a_tenant(operator: Operator, full: Full) -> None:
    whole, rest = lines(await exported(operator)), lines(await exported(operator, after=str(full.acme)))
    assert [line["kind"] for line in rest] == ["tenantgate", "tenant", "end"]
    assert rest[1] == whole[-2]
    assert (await operator.get("export", after=str(UUID(int=7)))).json()["code"] == "INVALID_BODY"


async def test_without_a_key_no_secret_leaves_sealed_or_not(operator: Operator, full: Full, target: Operator) -> None:
    export = await exported(operator)
    for secret in (full.secret, full.tenant_key, full.root_key):
        assert secret.encode() not in export
    assert b"sealed" not in export.replace(b'"sealed":null', b"")
    assert (await imported(target, export))["conflicting"] == 0
    assert (await target.registry.tenants.get(full.acme)).secrets == ()


async def test_with_a_key_secrets_leave_sealed_by_it(operator: Operator, full: Full) -> None:
    export = await exported(operator, KEYED)
    for secret in (full.secret, full.tenant_key, full.root_key):
        assert secret.encode() not in export
    (sealed,) = next(line for line in lines(export) if line.get("id") == str(full.acme))["record"]["secrets"]
    context = f"tenant/{full.acme}/secret/{sealed['id']}"
    assert Cipher(KEY).decrypt(sealed["sealed"], context) == full.secret.encode()


@pytest.mark.parametrize("headers", [{}, {"X-Export-Key": b64encode(b"x" * 32).decode()}])
async def test_sealed_secrets_are_taken_with_their_key_only(
    operator: Operator, full: Full, target: Operator, headers: dict[str, str]
) -> None:
    answer = await sent(target, await exported(operator, KEYED), headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")
    assert (await target.get("fetch/tenants")).json()["data"]["total"] == 0


async def test_a_key_that_is_none_is_refused(operator: Operator) -> None:
    answer = await operator.http.get("/api/v1/export", headers={"X-Export-Key": "short"})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")


async def test_what_another_tenant_has_is_a_conflict_and_the_rest_is_restored(
    operator: Operator, full: Full, target: Operator
) -> None:
    mine = await target.provision(name="Mine", slug="acme", org="other")
    report = await imported(target, await exported(operator, KEYED), KEYED)
    (conflict,) = [one for one in report["conflicts"] if "slug" in one["reason"]]
    assert conflict["reason"] == "another tenant has its slug"
    assert await target.registry.shelf.tenant(full.acme, target.registry.store.control) is None
    assert await target.registry.tenants.get(full.globex) == await operator.registry.tenants.get(full.globex)
    slug = target.registry.store.keys.slug("acme")
    assert await target.registry.store.control.command("GET", slug) == mine["tenant_id"].encode()


async def test_a_tenant_that_has_changed_since_stays_as_it_is(operator: Operator, full: Full, target: Operator) -> None:
    export = await exported(operator, KEYED)
    await imported(target, export, KEYED)
    await target.post("update/tenant", {"name": "Changed"}, tenant_id=str(full.acme))
    report = await imported(target, export, KEYED)
    assert [one["reason"] for one in report["conflicts"]] == ["it is there already, and has been changed since"]
    assert (await target.registry.tenants.get(full.acme)).name == "Changed"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"slug": "pg-catalog", "schema": "x"}, "slug or a schema"),
        ({"schema": "public"}, "slug or a schema"),
        ({"org": "nobody"}, "no organization named 'nobody'"),
        ({"name": ["Acme"]}, "not a tenant's record"),
        ({"status": "great"}, "not a tenant's record"),
        ({"secrets": None}, "not a tenant's record"),
        ({"caps": {"emails": "many"}}, "not a tenant's record"),
    ],
)
async def test_a_record_that_no_gateway_has_written_is_a_conflict(
    operator: Operator, full: Full, target: Operator, changed: dict[str, object], reason: str
) -> None:
    told = lines(await exported(operator))
    for line in told:
        if line.get("id") == str(full.acme):
            line["record"] |= changed
    report = await imported(target, b"\n".join(json.dumps(line).encode() for line in told))
    assert any(reason in conflict["reason"] for conflict in report["conflicts"]), report
    assert await target.registry.shelf.tenant(full.acme, target.registry.store.control) is None


async def test_an_audit_entry_that_was_altered_is_a_conflict(operator: Operator, full: Full, target: Operator) -> None:
    export = (await exported(operator, KEYED)).replace(b'"action":"tenant.updated"', b'"action":"tenant.archived"')
    export = export.replace(b'"action":"tenant.quota_updated"', b'"action":"tenant.archived"')
    report = await imported(target, export, KEYED)
    assert "not as it was written" in report["conflicts"][0]["reason"]


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"{}", b"no", b'{"kind":"end","tenants":0}', b'{"kind":"tenantgate","format":2}', b"\xff"]
)
async def test_what_is_no_export_is_refused(target: Operator, body: bytes) -> None:
    answer = await sent(target, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")


async def test_an_export_that_is_cut_off_is_known_by_its_missing_end(operator: Operator, full: Full, target: Operator) -> None:
    export = await exported(operator)
    assert (await imported(target, b"\n".join(export.splitlines()[:-1])))["complete"] is False


async def test_a_line_is_bounded(target: Operator) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * (1 << 20)

    answer = await target.http.post("/api/v1/import", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_root_key_opens_after_the_import_of_its_organization(operator: Operator, full: Full, target: Operator) -> None:
    await imported(target, await exported(operator))
    org = await target.registry.records.resolve(OwnerOfKey(digest_of(full.root_key)))
    assert isinstance(org, Organization)
    assert [key.name for key in org.keys] == ["root"]


async def test_an_import_says_in_the_trail_what_the_trail_did_not_come_with(
    operator: Operator, full: Full, target: Operator
) -> None:
    told = [line for line in lines(await exported(operator)) if line["kind"] != "audit"]
    await imported(target, b"\n".join(json.dumps(line).encode() for line in told))
    entries = (await target.registry.audit.search("platform", 10)).entries
    noted = [(entry.fields()["action"], entry.fields()["metadata"]["imported"], entry.fields()["actor"]) for entry in entries]  # type: ignore[index,call-overload]
    assert noted == [("tenant.created", True, "ops"), ("org.updated", True, "ops")]
