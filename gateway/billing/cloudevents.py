"""Use as CloudEvents (1.0, JSON)."""

from __future__ import annotations

from collections.abc import Mapping

from .use import Use

TYPE = "tenantgate.usage.counted"
BATCH = "application/cloudevents-batch+json"


def cloud_event(use: Use) -> Mapping[str, object]:
    """`source` and `id` together are what a receiver tells repetitions by."""
    return {
        "specversion": "1.0",
        "id": use.id,
        "source": f"/orgs/{use.org}",
        "type": TYPE,
        "subject": use.tenant_id,
        "time": use.instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": {
            "org": use.org,
            "tenant_id": use.tenant_id,
            "stripe_customer_id": use.customer,
            "metric": use.metric,
            "day": use.day.isoformat(),
            "units": use.units,
        },
    }
