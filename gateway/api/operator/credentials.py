"""The operator API's calls about a tenant's secrets: rotated, and re-encrypted."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing, Rotation
from gateway.api.parts import Parts
from gateway.api.tenant_view import timestamp
from gateway.registry.tenants import Tenants
from gateway.tenancy.credential import SigningSecret, WidgetKey

from . import examples
from .answers import Reencrypted, SecretRotated, WidgetKeyRotated
from .tenants import CHANGES, note


class _Calls:
    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def rotate_secret(self, asked: Asked[Rotation, Nothing]) -> Answered:
        rotation = asked.parameters
        tenant, secret = await self._tenants.by(asked.caller.actor).rotate_secret(rotation.tenant_id, rotation.grace_seconds)
        note("tenant.secret_rotated", asked.caller, tenant)
        shown = {"tenant_id": str(tenant.id), "tenant_secret": secret, "rotated_at": timestamp(tenant.updated_at)}
        ending = _ending(tenant.secrets)
        return Answered(shown, f"Secret rotated. Save the new tenant_secret — old secret is {ending or 'now invalid'}.")

    async def rotate_widget_key(self, asked: Asked[Rotation, Nothing]) -> Answered:
        rotation = asked.parameters
        tenant, key = await self._tenants.by(asked.caller.actor).rotate_widget_key(rotation.tenant_id, rotation.grace_seconds)
        note("tenant.widget_key_rotated", asked.caller, tenant)
        shown = {"tenant_id": str(tenant.id), "widget_public_key": key, "rotated_at": timestamp(tenant.updated_at)}
        ending = _ending(tenant.widget_keys)
        old = f"old key is {ending}" if ending else "old key stops working immediately"
        return Answered(shown, f"Widget public key rotated. Update <script data-public-key=...> on every tenant page; {old}.")

    async def reencrypt(self, asked: Asked[Nothing, Nothing]) -> Answered:
        count = await self._tenants.reencrypt()
        told = f"The secrets of {count} tenants and organizations were under another key, and are under the present one."
        return Answered({"reencrypted": count}, told)


def credential_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts.tenants)
    named = {**examples.NAMED, "grace_seconds": "3600"}
    return (
        endpoint(
            "POST",
            "/rotate/tenant-secret",
            calls.rotate_secret,
            name="rotateTenantSecret",
            summary="Give a tenant a new signing secret",
            parameters=Rotation,
            body=Nothing,
            answer=SecretRotated,
            errors=CHANGES,
            example=Example(examples.SECRET, parameters=named),
        ),
        endpoint(
            "POST",
            "/rotate/widget-key",
            calls.rotate_widget_key,
            name="rotateWidgetKey",
            summary="Give a tenant a new widget key",
            parameters=Rotation,
            body=Nothing,
            answer=WidgetKeyRotated,
            errors=CHANGES,
            example=Example(examples.WIDGET_KEY, parameters=named),
        ),
        endpoint(
            "POST",
            "/reencrypt/secrets",
            calls.reencrypt,
            name="reencryptSecrets",
            summary="Store every secret under the present encryption key",
            parameters=Nothing,
            body=Nothing,
            answer=Reencrypted,
            example=Example({"reencrypted": 3}),
        ),
    )


def _ending(credentials: Iterable[SigningSecret | WidgetKey]) -> str:
    """Until when the credential before the present one is valid; empty where it has ended."""
    ends = [credential.not_after for credential in credentials if credential.not_after is not None]
    return f"valid until {timestamp(max(ends))}" if ends else ""
