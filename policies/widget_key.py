"""Widget keys: public, in the pages of a tenant. One names the tenant; the page's origin is checked by `origin`."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import ClassVar

from gateway.errors import AMBIGUOUS_CREDENTIALS, KEY_INVALID, KEY_MISSING, Problem, Refused
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import OwnerOfWidgetKey
from gateway.pipeline.policy import Phase, PolicyConfig, RestsOn, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.keytext import is_widget_key
from gateway.tenancy.tenant import Tenant

# `pk_` and eight characters: enough to tell a tenant's keys apart in logs and usage.
_ID_LENGTH = 11


class WidgetKey:
    """`X-Widget-Key: pk_…` or `?public_key=pk_…`."""

    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    rests_on: ClassVar[RestsOn] = "head"
    requires: ClassVar[tuple[str, ...]] = ("origin",)
    """Policies that must stand in the same route: anybody can read the key, so it is worth nothing without them."""
    missing: ClassVar[Problem] = KEY_MISSING
    challenge: ClassVar[str] = 'WidgetKey realm="tenantgate"'

    class Config(PolicyConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        pass

    def presents(self, request: InboundRequest) -> bool:
        return "x-widget-key" in request.headers or "public_key" in request.parameters

    def authenticate(self, request: InboundRequest) -> PresentedWidgetKey:
        header = request.header("x-widget-key")
        sent = [*request.parameters.get("public_key", ()), *([] if header is None else [header])]
        if len(sent) > 1:
            raise Refused(AMBIGUOUS_CREDENTIALS, "Send one widget key, in `X-Widget-Key` or in `?public_key=`.")
        if not is_widget_key(sent[0]):
            raise Refused(KEY_INVALID, "A widget key is `pk_` and 33 letters or digits.")
        return PresentedWidgetKey(OwnerOfWidgetKey(sent[0]), request.received_at)


@dataclass(frozen=True, slots=True)
class PresentedWidgetKey:
    lookup: OwnerOfWidgetKey
    received_at: float
    needs_body: bool = False

    def prove(self, evidence: Evidence) -> Principal:
        tenant = evidence.record
        if not isinstance(tenant, Tenant):
            raise Refused(KEY_INVALID)
        now = max(self.received_at, tenant.updated_at)
        for key in tenant.widget_keys:
            if hmac.compare_digest(key.value, self.lookup.key) and (key.not_after is None or now < key.not_after):
                name = key.value[:_ID_LENGTH]
                return Principal(method="widget", subject=name, org=tenant.org, credential_id=name, until=key.not_after)
        raise Refused(KEY_INVALID)
