"""The keys of a script's call share one hash slot: a server of a cluster takes no other call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from redis.crc import key_slot

import gateway
from gateway.billing.billed import Accepted, Billed
from gateway.clock import SystemClock
from gateway.errors import Refused
from gateway.ledger.carry import Carried, Carry
from gateway.ledger.journal import Journal
from gateway.ledger.replay import Replay
from gateway.ledger.resources import Resources
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Reserve, Slot
from gateway.pipeline.lookup import TenantByRef
from gateway.pipeline.question import Provide
from gateway.registry.changes import Changes
from gateway.registry.domains import Domains
from gateway.registry.idempotency import Claim
from gateway.registry.listing import TenantList
from gateway.registry.proof import Proof
from gateway.registry.provisioning import Provisioning
from gateway.registry.reservation import Reservations
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.store.keyspace import Keyspace, client_tag, org_tag, route_tag, tenant_tag
from gateway.tenancy.period import period_of
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.search import Search
from gateway.tenancy.tenant import Tenant
from gateway.webhooks.address import Rules
from gateway.webhooks.backoff import DELAYS
from gateway.webhooks.hold import Hold
from gateway.webhooks.queue import Target
from tests import samples
from tests.ledger.samples import ask, ledger_over, served
from tests.ledger.test_journal import ROOMY, SUBJECT
from tests.registry.samples import ORGS, registry_over
from tests.webhooks.samples import stand_over

from .slots import Seen, one_slot_a_call

SCRIPTS = {path.stem for path in Path(gateway.__file__).parent.glob("*/lua/*.lua")} - {"buckets"}
"""buckets.lua only stands before others."""
LIMIT = RateLimit(5, 60, 5)
EVERYTHING: tuple[Demand, ...] = (
    Rate("tenant", "tenant", "acme", LIMIT),
    Rate("route", "route", "things", LIMIT),
    Quota("emails", 10, 10),
    Quota("calls", None, 10),
    Quota("free", None, None),
    Slot("concurrency", "tenant", "acme", 5),
    Slot("concurrency", "route", "things", 5),
    Nonce("n" * 16, 60),
    Reserve("users", 5),
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    with one_slot_a_call(monkeypatch) as seen:
        yield seen


@pytest.fixture
def sharded(seen: Seen, store: Store) -> Store:
    """`seen` stands first: a store asks when it is made."""
    return store


async def test_every_script_is_called_with_keys_of_one_slot(seen: Seen, sharded: Store, tmp_path: Path) -> None:
    tenant = await _changed(sharded)
    await _named_twice(sharded, tenant.id)
    await _served(sharded, tenant)
    await _replayed(sharded, tmp_path)
    await Resources(sharded, ["users"]).reconcile(tenant.id, "users", 3)
    await _provided(sharded)
    await _answered(sharded)
    await _told(sharded, tenant.id)
    await _billed(sharded, tenant)
    await _proved(sharded, tenant)
    await Carry(sharded, SystemClock()).restore(tenant_tag(tenant.id), Carried(resources={"users": 1}))
    assert set(seen) == SCRIPTS
    assert {name: max(map(len, calls)) for name, calls in seen.items()} == dict.fromkeys(SCRIPTS, 1)


async def _changed(store: Store) -> Tenant:
    registry = registry_over(store)
    tenant = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    for origins in (("https://acme.test",), ()):
        tenant = await registry.tenants.change(tenant.id, lambda old, origins=origins: replace(old, origins=origins))
    await registry.keys.mint("platform", "root", frozenset(), created_by="test")
    await registry.shelf.lease(tenant.id)
    return tenant


async def _provided(store: Store) -> None:
    registry = registry_over(store)
    changes = Changes(registry.shelf, registry.records, registry.clock, registry.clock.pause)
    await Provisioning(changes, registry.records).provide(Provide(TenantByRef("platform", "cust_1"), "key_1", "req-1"))
    assert (await TenantList(registry.shelf).page("platform", 1, search=Search(words="cust")))[0]


async def _answered(store: Store) -> None:
    answers = registry_over(store).answers
    claim = await answers.claim("caller", "key", b"request")
    assert isinstance(claim, Claim)
    await answers.keep(claim, b"answer")


async def _named_twice(store: Store, tenant_id: UUID) -> None:
    names, slug = Reservations(store, lambda: 0.0), store.keys.slug("taken")
    assert await names.take(slug, tenant_id)
    await names.give_back(slug, tenant_id)


async def _served(store: Store, tenant: Tenant) -> None:
    registry = registry_over(store)
    ledger = ledger_over(store, registry.records)
    root = await registry.shelf.lease("platform")
    assert root is not None
    call = samples.call(samples.BOUND_KEY, tenant, org=ORGS["platform"])
    answer = await ask(ledger, *EVERYTHING, call=call, basis=(tenant, root))
    stranger = samples.call(samples.JWT, None)
    await ask(ledger, Rate("ip", "client_ip", "203.0.113.7", LIMIT), Rate("route", "route", "things", LIMIT), call=stranger)
    ledger.count(getattr(answer, "charge", None), None)
    await ledger.close()


async def _replayed(store: Store, directory: Path) -> None:
    journal = Journal.create(directory, "store", ROOMY)
    journal.append(SUBJECT, 3)
    replay = Replay(store, directory, "store", journal)
    await replay.count_own()
    await replay.close()


async def _proved(store: Store, tenant: Tenant) -> None:
    registry = registry_over(store)
    proof = Proof("127.0.0.1:9", 0.01)
    domains = Domains(registry.changes, proof)
    domain = await domains.create("platform", tenant.id, "acme.test")
    with pytest.raises(Refused):
        await domains.verify(tenant.id, domain.id)


async def _billed(store: Store, tenant: Tenant) -> None:
    later = SystemClock().now() + 3 * 86_400
    billed, period = Billed(store, Usage(store), lambda: later), period_of(SystemClock().now())
    ledger = ledger_over(store, registry_over(store).records)
    await served(ledger, Quota("emails", None, None), call=samples.call(samples.BOUND_KEY, tenant, org=ORGS["platform"]))
    await ledger.close()
    (use, *_) = await billed.claim("test", [tenant], period)
    assert await billed.accept("test", [Accepted(tenant.id, use.metric, use.day, use.end)]) == 1


async def _told(store: Store, tenant_id: UUID) -> None:
    stand = stand_over(registry_over(store), Rules())
    held, _ = await stand.hook("https://127.0.0.1:1/")
    await stand.suspend(tenant_id)
    for delay in (0.0, *DELAYS):
        stand.registry.clock.time += delay
        await stand.turn()
    assert await stand.letters.replay_all(Target.of(held), stand.registry.clock.now()) == (1, 0)
    hold = Hold(store, stand.registry.clock, "webhooks-hold")
    await hold.renew()


def test_a_group_is_a_slot_where_the_store_is_sharded_and_everything_where_it_is_not() -> None:
    for prefix in ("tg", "a{b}c"):
        one, sharded = Keyspace(prefix), Keyspace(prefix, sharded=True)
        tags = (tenant_tag(samples.ACME.id), org_tag("main:{x}"), route_tag("things"), client_tag("2001:db8::1"))
        keys = [sharded.usage(tag, "2040-05") for tag in tags]
        for key, tag in zip(keys, tags, strict=True):
            assert key_slot(sharded.exchange(sharded.group(key), "ledger").encode()) == key_slot(key.encode())
            assert sharded.group(sharded.nonce(tag, "n")) == sharded.group(key)
        assert one.groups(keys) == one.groups(()) == (one.group(keys[0]),)
        assert len(set(sharded.groups(keys))) == (4 if prefix == "tg" else 1)


def test_a_tenants_slot_is_asked_before_its_organizations_and_that_before_a_routes() -> None:
    keys = Keyspace("tg", sharded=True)
    tenants = [UUID(int=0), UUID(int=(1 << 128) - 1), samples.ACME.id]
    others = [keys.group(keys.usage(tag, "")) for tag in (org_tag("0"), org_tag("z"), route_tag("0"))]
    for tenant in tenants:
        named = [keys.group(keys.tenant(tenant)), *others]
        assert sorted(named) == named
