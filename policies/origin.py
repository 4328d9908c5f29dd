"""Browsers: which pages may use a tenant's widget key, and the CORS protocol of the Fetch standard
(https://fetch.spec.whatwg.org/#http-cors-protocol) from the same list, the tenant's `origins`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from gateway.errors import AMBIGUOUS_CREDENTIALS, BAD_REQUEST, KEY_INVALID, ORIGIN_NOT_ALLOWED, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.lookup import Lookup, OwnerOfWidgetKey, Record, TenantByOrigin
from gateway.pipeline.policy import Mode, ModeConfig, Phase, RestsOn, Setup
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.keytext import is_widget_key
from gateway.tenancy.tenant import Tenant

# A serialized origin (RFC 6454, 6.2). `null`, that of sandboxed frames and local files, is nobody's.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[^/?#@\s]{1,261}")
_METHOD = re.compile(r"[A-Za-z]{1,20}")
_REQUEST_HEADERS = frozenset(
    {
        "accept",
        "authorization",
        "content-type",
        "idempotency-key",
        "traceparent",
        "x-requested-with",
        "x-tenant",
        "x-widget-key",
    }
)
_READABLE_HEADERS = "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_PREFLIGHT_LIFETIME = "600"


class Origin:
    """The `Origin` must be among the tenant's, byte for byte. Only callers with a widget key are held to it; others prove
    themselves by a secret, and a browser keeps pages of other origins from reading their answers."""

    phase: ClassVar[Phase] = Phase.ENTITLEMENT
    rests_on: ClassVar[RestsOn] = "head"

    class Config(ModeConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode

    def check(self, call: Call) -> None:
        if call.principal.method != "widget":
            return
        origin = call.request.header("origin")
        if origin is None:
            raise Refused(ORIGIN_NOT_ALLOWED, "A widget key is for browsers, which send `Origin`.")
        if not _is_allowed(origin, call.require_customer().tenant):
            raise Refused(ORIGIN_NOT_ALLOWED)

    def preflight(self, request: InboundRequest) -> Lookup:
        """By the key in the URL where there is one. A key in a header is not sent with a preflight."""
        origin = request.header("origin")
        if origin is None or _ORIGIN.fullmatch(origin) is None:
            raise Refused(ORIGIN_NOT_ALLOWED)
        keys = request.parameters.get("public_key", ())
        if not keys:
            return TenantByOrigin(origin)
        if len(keys) > 1:
            raise Refused(AMBIGUOUS_CREDENTIALS, "Send one `?public_key=`.")
        if not is_widget_key(keys[0]):
            raise Refused(KEY_INVALID)
        return OwnerOfWidgetKey(keys[0])

    def allow(self, request: InboundRequest, record: Record | None) -> Mapping[str, str]:
        origin = request.headers.get("origin", "")
        if not isinstance(record, Tenant) or not self._may_read(origin, record):
            raise Refused(ORIGIN_NOT_ALLOWED)
        method = request.headers.get("access-control-request-method", "")
        if _METHOD.fullmatch(method) is None:
            raise Refused(BAD_REQUEST, "`Access-Control-Request-Method` is not a method.")
        headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": method,
            "Access-Control-Max-Age": _PREFLIGHT_LIFETIME,
            "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }
        granted = ", ".join(_grantable(request))
        return {**headers, "Access-Control-Allow-Headers": granted} if granted else headers

    def expose(self, call: Call) -> Mapping[str, str]:
        """`Vary` always, so that no cache gives one origin's answer to another."""
        origin = call.request.headers.get("origin", "")
        if call.customer is None or not self._may_read(origin, call.customer.tenant):
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _READABLE_HEADERS,
            "Vary": "Origin",
        }

    def _may_read(self, origin: str, tenant: Tenant) -> bool:
        """In shadow pages of any origin may: else the browser kept the answer from them, and they would not have passed."""
        return _is_allowed(origin, tenant) or (self.mode == "shadow" and _ORIGIN.fullmatch(origin) is not None)


def _is_allowed(origin: str, tenant: Tenant) -> bool:
    return _ORIGIN.fullmatch(origin) is not None and origin in tenant.origins


def _grantable(request: InboundRequest) -> Iterable[str]:
    asked = request.headers.get("access-control-request-headers", "").split(",")
    return sorted(_REQUEST_HEADERS.intersection(name.strip(" \t").lower() for name in asked))
