"""What a request was decided under must still be true when it is admitted."""

from __future__ import annotations

import pytest

from gateway.ledger.ledger import Ledger
from gateway.pipeline.demand import Nonce, Quota
from gateway.pipeline.lookup import Record, TenantById
from gateway.pipeline.question import Admit, Changed, Granted
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.tenancy.tenant import Status
from tests import samples
from tests.ledger.samples import Forgotten, denied, granted, ledger_over
from tests.registry.samples import ORGS, registry_over


async def test_nothing_is_taken_under_a_record_that_has_changed(store: Store) -> None:
    registry = registry_over(store)
    ledger = ledger_over(store, registry.records)
    old = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    assert await registry.records.resolve(TenantById(old.id)) == old
    quota = Quota("emails", 1, None)
    asked = Admit(samples.call(samples.JWT, old), (old, ORGS["platform"]), (quota,))
    # Changed elsewhere: this worker still remembers the old record.
    await registry_over(store).tenants.set_status(old.id, Status.SUSPENDED)
    assert registry.records.peek(TenantById(old.id)) == old
    assert isinstance(await ledger.admit(asked), Changed)
    assert registry.records.peek(TenantById(old.id)) is None
    new = await registry.records.resolve(TenantById(old.id))
    assert new is not None
    assert isinstance(await ledger.admit(Admit(samples.call(samples.JWT, old), (new,), (quota,))), Granted)
    await ledger.close()


async def test_only_what_has_changed_is_forgotten(store: Store, ledger: Ledger, forgotten: Forgotten) -> None:
    registry = registry_over(store)
    tenant = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    await registry.keys.mint("platform", "root", frozenset(), created_by="test")
    basis: tuple[Record, ...] = (tenant, ORGS["platform"])
    assert isinstance(await ledger.admit(Admit(samples.call(samples.JWT, tenant), basis, ())), Changed)
    assert forgotten.records == [ORGS["platform"]]


async def test_a_record_that_is_gone_has_changed(ledger: Ledger) -> None:
    assert isinstance(await ledger.admit(Admit(samples.call(), (samples.ACME,), ())), Changed)


@pytest.mark.parametrize("value", ["n" * 16, "a:b{c}:" * 4])
async def test_a_nonce_is_taken_once_per_tenant(ledger: Ledger, value: str) -> None:
    nonce = Nonce(value, 600)
    await granted(ledger, nonce)
    await denied(ledger, nonce)
    await granted(ledger, nonce, call=samples.call(samples.HMAC, samples.GLOBEX))


async def test_a_nonce_is_remembered_for_its_time(ledger: Ledger, store: Store, key_prefix: str) -> None:
    await granted(ledger, Nonce("n" * 16, 600))
    names = await store.control.command("KEYS", f"{key_prefix}:*nonce*")
    assert isinstance(names, list)
    assert isinstance(names[0], bytes)
    ttl = await store.control.command("TTL", names[0])
    assert isinstance(ttl, int)
    assert 590 <= ttl <= 600
