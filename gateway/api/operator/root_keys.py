"""The operator API's calls about root keys, the way to an organization's first: minted, fetched, rolled, revoked."""

from __future__ import annotations

from gateway.api.allowed_domains import check_domains
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.key_fields import KeyId, KeyShown, MintedShown, NewKeyFields, Overlap, check_future, granted, key_shown
from gateway.api.parameters import Nothing
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.errors import KEY_ENDED, NOT_FOUND, TOO_MANY_KEYS, WRITE_CONFLICT
from gateway.registry.key_index import OwnedKey
from gateway.registry.keys import Keys

from .orgs import ByOrg, organization


class OneRootKey(ByOrg):
    key_id: KeyId


class RootKeysShown(Shape):
    org: str
    keys: list[KeyShown]
    """The newest first, ended ones included."""


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def mint(self, asked: Asked[ByOrg, NewKeyFields]) -> Answered:
        org, body = self._org(asked.parameters), asked.body
        check_future(body.expires_at, self._parts.clock.now())
        await check_domains(self._parts.domains, org, org, body.allowed_domain_ids)
        minted = await self._keys(asked.caller).mint(
            org,
            body.name,
            granted(self._parts.grants, body.scopes, bound=False),
            created_by=asked.caller.name,
            environment=body.environment,
            allowed_domain_ids=body.allowed_domain_ids,
            rate=body.rate_limit,
            expires_at=body.expires_at,
        )
        shown = {"key": minted.text, **key_shown(OwnedKey(org, minted.key), None)}
        return Answered(shown, "Root key minted. Save it — it is shown only this once.")

    async def fetch(self, asked: Asked[ByOrg, Nothing]) -> Answered:
        org = self._org(asked.parameters)
        found = [OwnedKey(org, key) for key in await self._parts.keys.list(org)]
        used = await self._parts.last_used.of(found)
        return Answered({"org": org, "keys": [*map(key_shown, found, used)]}, "Root keys fetched.")

    async def roll(self, asked: Asked[OneRootKey, Overlap]) -> Answered:
        org, overlap = self._org(asked.parameters), asked.body.overlap_seconds
        keys = self._keys(asked.caller)
        minted = await keys.roll(org, asked.parameters.key_id, overlap, created_by=asked.caller.name)
        shown = {"key": minted.text, **key_shown(OwnedKey(org, minted.key), None)}
        ending = f"is good for {overlap} seconds more" if overlap else "is revoked"
        return Answered(shown, f"Root key rolled. Save the new one — the old one {ending}.")

    async def revoke(self, asked: Asked[OneRootKey, Nothing]) -> Answered:
        org = self._org(asked.parameters)
        revoked = OwnedKey(org, await self._keys(asked.caller).revoke(org, asked.parameters.key_id))
        (used,) = await self._parts.last_used.of([revoked])
        return Answered(key_shown(revoked, used), "Root key revoked.")

    def _org(self, named: ByOrg) -> str:
        return organization(self._parts.orgs, named.org)

    def _keys(self, caller: Caller) -> Keys:
        return self._parts.keys.by(caller.actor)


def root_key_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "POST",
            "/mint/root-key",
            calls.mint,
            name="mintRootKey",
            summary="Mint a root key of an organization",
            parameters=ByOrg,
            body=NewKeyFields,
            answer=MintedShown,
            status=201,
            errors=(NOT_FOUND, TOO_MANY_KEYS, WRITE_CONFLICT),
            example=Example(_MINTED, {"name": "Platform backend"}, {"org": "demo"}),
        ),
        endpoint(
            "GET",
            "/fetch/root-keys",
            calls.fetch,
            name="fetchRootKeys",
            summary="Show an organization's root keys",
            parameters=ByOrg,
            body=Nothing,
            answer=RootKeysShown,
            errors=(NOT_FOUND,),
            example=Example({"org": "demo", "keys": [_KEY]}, parameters={"org": "demo"}),
        ),
        endpoint(
            "POST",
            "/roll/root-key",
            calls.roll,
            name="rollRootKey",
            summary="Mint a root key in the place of another",
            parameters=OneRootKey,
            body=Overlap,
            answer=MintedShown,
            status=201,
            errors=(NOT_FOUND, KEY_ENDED, TOO_MANY_KEYS, WRITE_CONFLICT),
            example=Example(_MINTED, {"overlap_seconds": 3600}, _NAMED),
        ),
        endpoint(
            "POST",
            "/revoke/root-key",
            calls.revoke,
            name="revokeRootKey",
            summary="Revoke a root key",
            parameters=OneRootKey,
            body=Nothing,
            answer=KeyShown,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example({**_KEY, "revoked_at": "2026-06-21T12:00:00Z"}, parameters=_NAMED),
        ),
    )


_NAMED = {"key_id": "key_01kj9h0w5se8nb8z0d2yq4mxcd"}
_KEY = {
    "id": _NAMED["key_id"],
    "prefix": "tg_live",
    "last_four": "Zk31",
    "name": "Platform backend",
    "environment": "live",
    "tenant_id": None,
    "scopes": ["read:tenants", "write:keys", "write:tenants"],
    "allowed_domain_ids": None,
    "rate_limit": None,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-06-21T11:59:00Z",
    "created_at": "2026-06-21T10:00:00Z",
    "created_by": "ops",
}
_MINTED = {**_KEY, "last_used_at": None, "key": "tg_live_…"}
