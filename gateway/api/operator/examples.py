"""What the documentation of the operator API shows of requests and answers."""

from __future__ import annotations

from collections.abc import Mapping

ID = "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"
NAMED = {"tenant_id": ID}

TENANT: Mapping[str, object] = {
    "tenant_id": ID,
    "org": "demo",
    "slug": "acme-corp",
    "external_ref": "cust_12345",
    "name": "Acme Corp",
    "status": "active",
    "suspend_reason": None,
    "schema": "acme_corp",
    "region": None,
    "plan_tier": "pro",
    "rate_limit": None,
    "agent_seats": 25,
    "feature_flags": {},
    "origins": ["https://app.acme.example"],
    "callback_url": None,
    "stripe_customer_id": None,
    "branding_primary_color": "#0055FF",
    "widget_public_key": "pk_…",
    "created_at": "2026-06-21T10:00:00Z",
    "updated_at": "2026-06-21T11:00:00Z",
}
SECRET = {"tenant_id": ID, "tenant_secret": "sk_…", "rotated_at": "2026-06-21T11:00:00Z"}
WIDGET_KEY = {"tenant_id": ID, "widget_public_key": "pk_…", "rotated_at": "2026-06-21T11:05:00Z"}
RESOURCES: Mapping[str, object] = {"tenant_id": ID, "resources": {"users": {"cap": 5, "used": 3, "reserved": 0}}}
