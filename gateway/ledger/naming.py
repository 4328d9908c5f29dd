"""Which bucket a demand of a call is about, and the keys that it has in the store."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Quota, Rate, Slot
from gateway.pipeline.lookup import Record
from gateway.store.keyspace import Keyspace, client_tag, org_tag, record_tag, route_tag, tenant_tag
from gateway.tenancy.period import period_end
from gateway.tenancy.tenant import Tenant

from .bucket import Bucket, Lent, QuotaBucket, RateBucket, SlotBucket
from .items import Counters

_MICROSECONDS = 1_000_000
KEPT_MONTHS = 26


def tag_of(call: Call, demand: Rate | Quota | Slot) -> str:
    """Whose bucket it is: what the store keeps together."""
    if isinstance(demand, Slot) and demand.scope == "route":
        return route_tag(demand.subject)
    if isinstance(demand, Rate):
        if demand.scope == "route":
            return route_tag(call.route)
        if demand.scope == "client_ip" and call.customer is None:
            return client_tag(demand.subject)
        if demand.scope == "credential" and call.principal.root and call.principal.org is not None:
            # A platform key has one bucket, whichever tenant it acts for.
            return org_tag(call.principal.org)
    return owner_tag(call)


def owner_tag(call: Call) -> str:
    """Where what belongs to the call's tenant is kept; of a call without one, its organization, else its route."""
    if call.customer is not None:
        return tenant_tag(call.customer.tenant.id)
    org = call.principal.org
    return route_tag(call.route) if org is None else org_tag(org)


def name_of(call: Call, demand: Rate | Quota | Slot, period: str) -> str:
    """Tells the leases of one tag apart: those of buckets with other bounds too. Text, since that remembers its hash.

    Units and slots that were lent under a bound that has changed since must not be found again where it changes back: others
    were admitted by another bound meanwhile. So they go by the version of the tenant's record. A rate's cells need not: the
    arrival time has them.
    """
    customer = None if isinstance(demand, Slot) and demand.scope == "route" else call.customer
    version = 0 if customer is None else customer.tenant.version
    match demand:
        case Rate():
            return repr((demand.scope, demand.name, demand.subject, demand.limit, demand.shadow))
        case Quota():
            return repr((demand.metric, demand.cap, demand.org_cap, period, version))
        case Slot():
            return repr((demand.name, demand.subject, demand.limit, demand.shadow, version))


def bucket_of(keys: Keyspace, call: Call, demand: Rate | Quota | Slot, tag: str, period: str) -> Bucket:
    match demand:
        case Rate(name=name, scope=scope, limit=limit):
            key = keys.rate(tag, scope, name, _subject(demand))
            return RateBucket(key, Lent(*keys.lent(key)), limit)
        case Slot(name=name, limit=limit):
            return SlotBucket(Lent(*keys.lent(keys.slots(tag, name, _subject(demand)))), limit)
        case Quota():
            return quota_bucket(keys, call, demand, period)


def quota_bucket(keys: Keyspace, call: Call, quota: Quota, period: str) -> QuotaBucket:
    tenant = call.require_customer().tenant
    of_tenant, of_org = keys.usage(tenant_tag(tenant.id), period), keys.usage(org_tag(tenant.org), period)

    def lent(usage: str, cap: int | None) -> Lent | None:
        return None if cap is None else Lent(*keys.lent(f"{usage}:{quota.metric}"))

    places = (lent(of_tenant, quota.cap), lent(of_org, quota.org_cap))
    return QuotaBucket(of_tenant, of_org, quota.metric, quota.cap, quota.org_cap, *places)


def counters_of(keys: Keyspace, call: Call, bucket: QuotaBucket, period: str) -> Counters:
    credential = call.principal.credential_id
    if credential is None:
        return Counters(bucket, None, "", expiry_of(period))
    tenant = call.require_customer().tenant
    key = keys.credential_usage(tenant_tag(tenant.id), period)
    over_all = keys.credential_usage(org_tag(tenant.org), period) if call.principal.root else None
    return Counters(bucket, key, f"{bucket.metric} {credential}", expiry_of(period), over_all)


def record_keys(keys: Keyspace, record: Record) -> tuple[str, str]:
    """Where the record is, and its leases."""
    key = keys.tenant(record.id) if isinstance(record, Tenant) else keys.org(record.id)
    return key, keys.leases(record_tag(record.id))


def _subject(demand: Rate | Slot) -> str:
    """A limit in shadow has a bucket of its own: it must not use up what the same limit enforces on another route."""
    return f"shadow:{demand.subject}" if demand.shadow else demand.subject


@lru_cache(8)
def period_bounds(period: str) -> tuple[int, int]:
    """First microsecond of a period, and the first after it."""
    start = datetime.fromisoformat(f"{period}-01T00:00:00+00:00").timestamp()
    return int(start) * _MICROSECONDS, int(period_end(period)) * _MICROSECONDS


@lru_cache(8)
def expiry_of(period: str) -> int:
    """When the counters of a period expire, in seconds since 1970: it and 25 whole months after it are kept."""
    months = int(period[:4]) * 12 + int(period[5:]) - 1 + KEPT_MONTHS
    return int(datetime.fromisoformat(f"{months // 12:04}-{months % 12 + 1:02}-01T00:00:00+00:00").timestamp())
