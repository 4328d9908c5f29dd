"""What was used: the counters that the ledger moves, read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.store.wire import Reply
from gateway.tenancy.period import period_end

_DAY = 86400


class Usage:
    """Units by metric in a period (`2026-04`), as far as any were counted. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_tenant(self, tenant_id: UUID, period: str) -> Mapping[str, int]:
        return _whole_period(await self._read(self._store.keys.usage(tenant_tag(tenant_id), period)))

    async def of_tenants(self, ids: Sequence[UUID], period: str) -> list[Mapping[str, int]]:
        """Of several, in the order of `ids`."""
        return [_whole_period(fields) for fields in await self._read_all(ids, period)]

    async def of_org(self, org: str, period: str) -> Mapping[str, int]:
        return await self._read(self._store.keys.usage(org_tag(org), period))

    async def by_credential(self, tenant_id: UUID, period: str) -> Mapping[str, Mapping[str, int]]:
        """What each credential used for this tenant: units by metric, by credential id."""
        return await self._by_credential(tenant_tag(tenant_id), period)

    async def by_platform_key(self, org: str, period: str) -> Mapping[str, Mapping[str, int]]:
        """What each key of the organization itself used for all of its tenants together."""
        return await self._by_credential(org_tag(org), period)

    async def _by_credential(self, tag: str, period: str) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for field, units in (await self._read(self._store.keys.credential_usage(tag, period))).items():
            metric, _, credential = field.partition(" ")
            found.setdefault(credential, {})[metric] = units
        return found

    async def by_day(self, tenant_id: UUID, period: str) -> Mapping[date, Mapping[str, int]]:
        """What the tenant used on each day on which any was counted, by metric. A request that begins before a period's end and
        is counted after it belongs to the last day."""
        return _days(await self._read(self._store.keys.usage(tenant_tag(tenant_id), period)), period)

    async def of_tenants_by_day(self, ids: Sequence[UUID], period: str) -> list[Mapping[date, Mapping[str, int]]]:
        """Of several, in the order of `ids`."""
        return [_days(fields, period) for fields in await self._read_all(ids, period)]

    async def _read(self, key: str) -> Mapping[str, int]:
        return _fields(await self._store.data.command("HGETALL", key))

    async def _read_all(self, ids: Iterable[UUID], period: str) -> list[Mapping[str, int]]:
        keys = self._store.keys
        replies = await self._store.control.gather([("HGETALL", keys.usage(tenant_tag(one), period)) for one in ids])
        return [_fields(reply) for reply in replies]


def _fields(reply: Reply) -> Mapping[str, int]:
    assert isinstance(reply, list)
    texts = [entry.decode() for entry in reply if isinstance(entry, bytes)]
    return {name: int(units) for name, units in zip(texts[::2], texts[1::2], strict=True)}


def _whole_period(fields: Mapping[str, int]) -> Mapping[str, int]:
    """Without the days' shares, whose names are a metric and a day since 1970."""
    return {name: units for name, units in fields.items() if " " not in name}


def _days(fields: Mapping[str, int], period: str) -> Mapping[date, Mapping[str, int]]:
    first = date.fromisoformat(f"{period}-01")
    last = datetime.fromtimestamp(period_end(period), UTC).date() - timedelta(days=1)
    found: dict[date, dict[str, int]] = {}
    for name, units in sorted(fields.items()):
        metric, parted, number = name.partition(" ")
        if parted and units:
            day = datetime.fromtimestamp(int(number) * _DAY, UTC).date()
            of_day = found.setdefault(max(first, min(last, day)), {})
            of_day[metric] = of_day.get(metric, 0) + units
    return dict(sorted(found.items()))
