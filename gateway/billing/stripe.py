"""Use as meter events of Stripe."""

from __future__ import annotations

from collections.abc import Mapping

from .use import Use

Fields = Mapping[str, "str | int | Mapping[str, str]"]


def meter_event(use: Use) -> Fields:
    """The meter is the one whose `event_name` is the metric's name. Raises ValueError where the tenant has no customer."""
    if use.customer is None:
        raise ValueError(f"the tenant {use.tenant_id} has no stripe_customer_id")
    return {
        "event_name": use.metric,
        "identifier": use.id,
        "timestamp": int(use.instant.timestamp()),
        "payload": {"stripe_customer_id": use.customer, "value": str(use.units)},
    }


def form_of(event: Fields) -> Mapping[str, str]:
    """As the parameters of `POST /v1/billing/meter_events`."""
    form: dict[str, str] = {}
    for name, value in event.items():
        if isinstance(value, Mapping):
            form |= {f"{name}[{inner}]": text for inner, text in value.items()}
        else:
            form[name] = str(value)
    return form
