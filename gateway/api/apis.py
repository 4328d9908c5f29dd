"""Both APIs of the gateway, as their documents describe them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gateway.errors import (
    ADMIN_KEY_INVALID,
    AMBIGUOUS_CREDENTIALS,
    BAD_PATH,
    BAD_REQUEST,
    BODY_TOO_LARGE,
    CREDENTIAL_NOT_ACCEPTED,
    CREDENTIALS_MISSING,
    DUPLICATE_HEADER,
    INSUFFICIENT_SCOPE,
    INTERNAL_ERROR,
    INVALID_BODY,
    KEY_EXPIRED,
    KEY_INVALID,
    KEY_MISSING,
    KEY_REVOKED,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    SECRETS_UNREADABLE,
    SHUTTING_DOWN,
    STORE_UNAVAILABLE,
    TENANT_ARCHIVED,
    TENANT_MISMATCH,
    TENANT_SUSPENDED,
    TENANT_UNKNOWN,
    WRITE_NOT_DURABLE,
)

from .endpoint import Endpoint
from .openapi import Api, Schema, Section, document

_EVERYWHERE = (
    BAD_REQUEST,
    REQUEST_TIMEOUT,
    BODY_TOO_LARGE,
    INVALID_BODY,
    INTERNAL_ERROR,
    STORE_UNAVAILABLE,
    WRITE_NOT_DURABLE,
    SECRETS_UNREADABLE,
    SHUTTING_DOWN,
)
_REQUEST_ID: Schema = {"description": "The log has what happened under it.", "schema": {"type": "string"}}
_FAULT: Schema = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {"type": "string"},
        "pointer": {"type": "string", "description": "Where in the body (RFC 6901)."},
        "parameter": {"type": "string", "description": "Which parameter of the query."},
        "message": {"type": "string"},
    },
}

OPERATOR = Api(
    title="tenantgate: operator API",
    description="For whoever runs the platform. It is served by the admin listener.",
    security={"admin_key": {"type": "apiKey", "in": "header", "name": "X-Admin-Key"}},
    problems=(ADMIN_KEY_INVALID, *_EVERYWHERE),
    refusal={
        "type": "object",
        "required": ["status_code", "data", "message", "code", "request_id"],
        "properties": {
            "status_code": {"type": "integer"},
            "data": {"type": "null"},
            "message": {"type": "string"},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": _FAULT},
        },
    },
    problem_media="application/json",
    enveloped=True,
    headers={"X-Request-Id": _REQUEST_ID},
)

PLATFORM = Api(
    title="tenantgate: platform API",
    description="For a platform and its tenants. It is served by the public listener, where gateway.yaml mounts it.",
    security={
        "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of an issuer."},
    },
    problems=(
        BAD_PATH,
        AMBIGUOUS_CREDENTIALS,
        DUPLICATE_HEADER,
        CREDENTIALS_MISSING,
        CREDENTIAL_NOT_ACCEPTED,
        KEY_MISSING,
        KEY_INVALID,
        KEY_EXPIRED,
        KEY_REVOKED,
        TENANT_MISMATCH,
        TENANT_UNKNOWN,
        INSUFFICIENT_SCOPE,
        TENANT_SUSPENDED,
        TENANT_ARCHIVED,
        RATE_LIMITED,
        *_EVERYWHERE,
    ),
    refusal={
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["title", "status", "code", "detail", "request_id"],
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": _FAULT},
        },
    },
    headers={"X-Request-Id": _REQUEST_ID},
)


def operator_document(endpoints: Sequence[Endpoint]) -> Mapping[str, object]:
    return document(OPERATOR, [Section("Operator", "/api/v1", endpoints)])


def platform_document(
    mounted: Mapping[str, tuple[str, Sequence[Endpoint]]], public: Collection[str] = ()
) -> Mapping[str, object]:
    """`mounted`: groups by name, each with the path of its route. One that is mounted twice is described where it was first.
    `public`: those that ask for no credential."""
    sections = (Section(name, path.removesuffix("/*"), group, public=name in public) for name, (path, group) in mounted.items())
    return document(PLATFORM, sections)
