"""`keys`: a platform's API keys and those of its tenants, minted, listed, shown, changed, rolled, revoked."""

from __future__ import annotations

import re
from uuid import UUID

from gateway.api.allowed_domains import check_domains
from gateway.api.body import invalid
from gateway.api.cursor import Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.etag import etag_of
from gateway.api.key_fields import (
    KEY_FORM,
    KeyChange,
    KeyId,
    KeyShown,
    MintedShown,
    NewKey,
    Overlap,
    check_future,
    granted,
    key_shown,
    noted,
    tagged,
)
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.rights import insufficient
from gateway.errors import KEY_ENDED, NOT_FOUND, PLATFORM_ONLY, PRECONDITION_FAILED, TOO_MANY_KEYS, WRITE_CONFLICT, Refused
from gateway.registry.key_index import OwnedKey
from gateway.registry.owner import Owner
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.scopes import exceeding
from gateway.tenancy.tenant import Status, Tenant

_ID = re.compile(KEY_FORM)


class OneKey(Input):
    key_id: KeyId


class KeysOf(Paged):
    tenant_id: TenantId | None = None


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def mint(self, asked: Asked[Nothing, NewKey]) -> Answered:
        caller, body = asked.caller, asked.body
        check_future(body.expires_at, self._parts.clock.now())
        scopes = granted(self._parts.grants, body.scopes, bound=body.tenant_id is not None)
        _check_holds(caller, scopes)
        owner = await self._new_owner(caller, body.tenant_id)
        await check_domains(self._parts.domains, caller.require_org(), owner, body.allowed_domain_ids)
        minted = await self._parts.keys.by(caller.actor).mint(
            owner,
            body.name,
            scopes,
            created_by=caller.name,
            environment=body.environment,
            allowed_domain_ids=body.allowed_domain_ids,
            rate=body.rate_limit,
            expires_at=body.expires_at,
        )
        return _minted(OwnedKey(owner, minted.key), minted.text)

    async def list(self, asked: Asked[KeysOf, Nothing]) -> Answered:
        caller, wanted = asked.caller, asked.parameters
        position = position_of(wanted.cursor, _ID)
        below = None if position is None else position[0]
        if wanted.tenant_id is None:
            found, end = await self._parts.key_index.page(caller.require_org(), wanted.limit, below)
        else:
            owner = (await self._tenant(caller, wanted.tenant_id)).id
            keys = sorted(await self._parts.keys.list(owner), key=lambda key: key.id, reverse=True)
            rest = [OwnedKey(owner, key) for key in keys if below is None or key.id < below]
            found, end = rest[: wanted.limit], rest[wanted.limit - 1].key.id if len(rest) > wanted.limit else None
        used = await self._parts.last_used.of(found)
        return Answered(page([*map(key_shown, found, used)], None if end is None else [end]))

    async def show(self, asked: Asked[OneKey, Nothing]) -> Answered:
        return await self._shown(await self._find(asked.caller, asked.parameters))

    async def change(self, asked: Asked[OneKey, KeyChange]) -> Answered:
        body, given = asked.body, asked.body.model_fields_set
        found = await self._find(asked.caller, asked.parameters)
        check_future(body.expires_at, self._parts.clock.now())
        await check_domains(self._parts.domains, asked.caller.require_org(), found.owner, body.allowed_domain_ids)
        if "scopes" in given:
            _check_holds(asked.caller, granted(self._parts.grants, body.scopes, bound=isinstance(found.owner, UUID)))

        def edit(key: ApiKey) -> ApiKey:
            asked.condition.check(tagged(OwnedKey(found.owner, key)))
            return body.over(key)

        details = noted(body.over(found.key), frozenset(given))
        key = await self._parts.keys.by(asked.caller.actor).change(found.owner, found.key.id, edit, details)
        return await self._shown(OwnedKey(found.owner, key))

    async def roll(self, asked: Asked[OneKey, Overlap]) -> Answered:
        caller, owner = asked.caller, (await self._find(asked.caller, asked.parameters)).owner
        minted = await self._parts.keys.by(caller.actor).roll(
            owner,
            asked.parameters.key_id,
            asked.body.overlap_seconds,
            created_by=caller.name,
            check=lambda key: _check_holds(caller, key.scopes),
        )
        return _minted(OwnedKey(owner, minted.key), minted.text)

    async def revoke(self, asked: Asked[OneKey, Nothing]) -> Answered:
        owner = (await self._find(asked.caller, asked.parameters)).owner
        key = await self._parts.keys.by(asked.caller.actor).revoke(owner, asked.parameters.key_id)
        return await self._shown(OwnedKey(owner, key))

    async def _shown(self, owned: OwnedKey) -> Answered:
        (used,) = await self._parts.last_used.of([owned])
        return Answered(key_shown(owned, used), headers={"ETag": etag_of(tagged(owned))})

    async def _find(self, caller: Caller, named: OneKey) -> OwnedKey:
        return await self._parts.key_index.find(caller.require_org(), named.key_id)

    async def _tenant(self, caller: Caller, tenant_id: UUID) -> Tenant:
        """Raises Refused(NOT_FOUND)."""
        tenant = await self._parts.tenants.get(tenant_id)
        caller.check_sees(tenant.org)
        return tenant

    async def _new_owner(self, caller: Caller, tenant_id: UUID | None) -> Owner:
        if tenant_id is None:
            return caller.require_org()
        try:
            tenant = await self._tenant(caller, tenant_id)
        except Refused as refused:
            if refused.problem is NOT_FOUND:
                raise invalid({"tenant_id": "names no tenant of the organization"}) from None
            raise
        if tenant.status is Status.ARCHIVED:
            raise invalid({"tenant_id": "names a tenant that is archived"})
        return tenant.id


def _check_holds(caller: Caller, scopes: frozenset[str]) -> None:
    if missing := exceeding(scopes, caller.scopes):
        raise insufficient(missing, "No key is given scopes by one that lacks them.")


def _minted(owned: OwnedKey, text: str) -> Answered:
    return Answered({"id": owned.key.id, "key": text, **key_shown(owned, None)}, headers={"ETag": etag_of(tagged(owned))})


def key_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "POST",
            "",
            calls.mint,
            name="mintKey",
            summary="Mint an API key",
            parameters=Nothing,
            body=NewKey,
            answer=MintedShown,
            status=201,
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(TOO_MANY_KEYS, NOT_FOUND, WRITE_CONFLICT),
            example=Example(MINTED, {"name": "Acme's backend", "tenant_id": EXAMPLE["tenant_id"], "scopes": ["read:tenants"]}),
            tagged=True,
        ),
        endpoint(
            "GET",
            "",
            calls.list,
            name="listKeys",
            summary="List API keys, the newest first",
            parameters=KeysOf,
            body=Nothing,
            answer=listed(KeyShown),
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(NOT_FOUND,),
            example=Example({"data": [EXAMPLE], "next_cursor": None}, parameters={"limit": "20"}),
        ),
        endpoint(
            "GET",
            "/{key_id}",
            calls.show,
            name="getKey",
            summary="Show an API key",
            parameters=OneKey,
            body=Nothing,
            answer=KeyShown,
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(NOT_FOUND,),
            example=Example(EXAMPLE, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "PATCH",
            "/{key_id}",
            calls.change,
            name="updateKey",
            summary="Change the fields that are present",
            parameters=OneKey,
            body=KeyChange,
            answer=KeyShown,
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(NOT_FOUND, KEY_ENDED, WRITE_CONFLICT, PRECONDITION_FAILED),
            example=Example(EXAMPLE, {"name": "Acme's backend", "rate_limit": None}, NAMED),
            tagged=True,
        ),
        endpoint(
            "POST",
            "/{key_id}/roll",
            calls.roll,
            name="rollKey",
            summary="Mint a key in the place of another",
            parameters=OneKey,
            body=Overlap,
            answer=MintedShown,
            status=201,
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(NOT_FOUND, KEY_ENDED, TOO_MANY_KEYS, WRITE_CONFLICT),
            example=Example(MINTED, {"overlap_seconds": 3600}, NAMED),
            tagged=True,
        ),
        endpoint(
            "DELETE",
            "/{key_id}",
            calls.revoke,
            name="revokeKey",
            summary="Revoke an API key",
            parameters=OneKey,
            body=Nothing,
            answer=KeyShown,
            scope=_SCOPE,
            platform_only=PLATFORM_ONLY,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example({**EXAMPLE, "revoked_at": "2026-06-21T12:00:00Z"}, parameters=NAMED),
            tagged=True,
        ),
    )


_SCOPE = "write:keys"
NAMED = {"key_id": "key_01kj9je6hbfgyrwkttbdjcv7gf"}
EXAMPLE = {
    "id": NAMED["key_id"],
    "prefix": "tg_live",
    "last_four": "7fQ2",
    "name": "Acme's backend",
    "environment": "live",
    "tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf",
    "scopes": ["read:tenants"],
    "allowed_domain_ids": None,
    "rate_limit": None,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-06-21T11:59:00Z",
    "created_at": "2026-06-21T10:00:00Z",
    "created_by": "key_01kj9h0w5se8nb8z0d2yq4mxcd",
}
MINTED = {**EXAMPLE, "last_used_at": None, "key": "tg_live_…"}
