"""What all tenants of an organization have used, as CSV for spreadsheets (RFC 4180)."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable
from io import StringIO

from gateway.api.parts import Parts
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant

CSV = "text/csv"

_AT_ONCE = 500
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def usage_table(parts: Parts, org: str, period: str) -> AsyncIterator[bytes]:
    """A line of names, then one for each tenant, the newest first; the cap is empty where there is none. A page of
    tenants is held at a time. Raises Refused: STORE_UNAVAILABLE, SECRETS_UNREADABLE."""
    metrics = list(parts.metrics)
    named = ("period", "tenant_id", "slug", "external_ref", "name", "plan", "status", "stripe_customer_id")
    yield _lines([[*named, *(f"{metric}_{what}" for metric in metrics for what in ("used", "cap"))]])
    below = None
    while True:
        tenants, below = await parts.tenant_list.page(org, _AT_ONCE, below)
        used = await parts.usage.of_tenants([tenant.id for tenant in tenants], period)
        rows = []
        for tenant, of_one in zip(tenants, used, strict=True):
            plan = parts.plans.get(tenant.plan, Plan(tenant.plan))
            counts = [value for metric in metrics for value in (of_one.get(metric, 0), tenant.cap(metric, plan))]
            rows.append([period, *_named(tenant), *counts])
        if rows:
            yield _lines(rows)
        if below is None:
            return


def _named(tenant: Tenant) -> Iterable[str]:
    customer = tenant.profile.stripe_customer_id
    ref = tenant.external_ref
    texts = (tenant.typeid, tenant.slug, ref or "", tenant.name, tenant.plan, tenant.status.value, customer or "")
    return map(_harmless, texts)


def _harmless(text: str) -> str:
    """Names are chosen by tenants: none may become a formula in the spreadsheet of who opens the file."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    lines = StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode()
