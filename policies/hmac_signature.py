"""HMAC#1: a tenant's backend signs each request with the tenant's secret. docs/signing.md shows how."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from gateway.errors import SIGNATURE_MISSING, Problem
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import TenantById
from gateway.pipeline.policy import Phase, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.signing import Signature, SigningConfig, check_window, invalid, is_nonce
from gateway.tenancy.ids import parse_id

# Ten digits reach from 2001 to 2286; milliseconds have thirteen.
_TIMESTAMP = re.compile(r"[1-9][0-9]{9}")
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})")
# An id that cannot be read is looked up like any other, so that it is answered like one that nobody has.
_NO_TENANT = UUID(int=0)


def string_to_sign(tenant_id: str, timestamp: str, nonce: str, method: str, host: str, target: str, body_sha256: str) -> bytes:
    """What is signed. `tenant_id` is the id as it is sent, `host` that of the `Host` header, `target` path and query as sent,
    `body_sha256` lower-case hex."""
    return "\n".join(("v1", tenant_id, timestamp, nonce, method, host.lower(), target, body_sha256)).encode()


class HmacSignature:
    """`X-Tenant-Id` alone is no signature: root keys name their tenant by it."""

    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    missing: ClassVar[Problem] = SIGNATURE_MISSING
    challenge: ClassVar[str] = 'HMAC-SHA256 realm="tenantgate", headers="X-Tenant-Id X-Timestamp X-Nonce X-Signature"'

    class Config(SigningConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        self._window = config.window

    def presents(self, request: InboundRequest) -> bool:
        return any(name in request.headers for name in ("x-signature", "x-timestamp", "x-nonce"))

    def authenticate(self, request: InboundRequest) -> SignedRequest:
        tenant_id = _part(request, "X-Tenant-Id")
        timestamp = _part(request, "X-Timestamp")
        nonce = _part(request, "X-Nonce")
        signature = _SIGNATURE.fullmatch(_part(request, "X-Signature"))
        if _TIMESTAMP.fullmatch(timestamp) is None:
            raise invalid("`X-Timestamp` must be the time in whole seconds since 1970.")
        if not is_nonce(nonce):
            raise invalid("`X-Nonce` must be 16 to 128 visible ASCII characters.")
        if signature is None:
            raise invalid("`X-Signature` must be `v1=` and 64 lower-case hex digits.")
        check_window(int(timestamp), request.received_at, self._window)
        return SignedRequest(
            lookup=TenantById(parse_id("tnt", tenant_id) or _NO_TENANT),
            tenant_id=tenant_id,
            timestamp=timestamp,
            request=request,
            signature=Signature(bytes.fromhex(signature[1]), nonce, request.received_at, self._window),
        )


@dataclass(frozen=True, slots=True)
class SignedRequest:
    lookup: TenantById
    tenant_id: str
    timestamp: str
    request: InboundRequest = field(repr=False)
    signature: Signature
    needs_body: bool = True

    def prove(self, evidence: Evidence) -> Principal:
        assert evidence.body_sha256 is not None
        request = self.request
        message = string_to_sign(
            self.tenant_id,
            self.timestamp,
            self.signature.nonce,
            request.method,
            request.host,
            request.target.decode("ascii"),
            evidence.body_sha256,
        )
        return self.signature.prove(evidence.record, message)


def _part(request: InboundRequest, name: str) -> str:
    value = request.header(name.lower())
    if value is None:
        raise invalid(f"A part of the signature is missing: `{name}`.")
    return value
