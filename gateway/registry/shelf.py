"""Records in the store: read whole, and written only over the version that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from gateway.errors import WRITE_CONFLICT, Refused
from gateway.pipeline.lookup import Record
from gateway.store.client import Client
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Reply
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .cipher import Cipher
from .codec import decode_org_keys, decode_tenant, encode_org_keys, encode_tenant, sealed_secrets

_WRITE = Script.load("gateway.registry", "write_record")
_ROUNDS = 8


class Shelf:
    """`orgs` are the organizations as gateway.yaml declares them; what else is known of one is stored.

    Everything raises Refused(STORE_UNAVAILABLE); reading a tenant raises Refused(SECRETS_UNREADABLE) too.
    """

    def __init__(self, store: Store, cipher: Cipher, orgs: Mapping[str, Organization]) -> None:
        self.store = store
        self.orgs = orgs
        self._cipher = cipher

    async def tenant(self, tenant_id: UUID, client: Client) -> Tenant | None:
        return self._tenant(tenant_id, await client.command("HMGET", self.store.keys.tenant(tenant_id), "v", "doc"))

    async def tenants(self, ids: Sequence[UUID]) -> list[Tenant | None]:
        """Several at once, in the order of `ids`; None where there is no record."""
        replies = await self.store.control.gather([("HMGET", self.store.keys.tenant(one), "v", "doc") for one in ids])
        return [self._tenant(one, reply) for one, reply in zip(ids, replies, strict=True)]

    async def org(self, org_id: str, client: Client) -> Organization | None:
        """None where the organization is not configured, whatever is stored."""
        configured = self.orgs.get(org_id)
        if configured is None:
            return None
        version, document = _fields(await client.command("HMGET", self.store.keys.org(org_id), "v", "doc"))
        if document is None:
            return configured
        keys, updated_at = decode_org_keys(document)
        return replace(configured, version=version, keys=keys, updated_at=updated_at)

    async def write(self, record: Record, over: int, entry: bytes = b"") -> bool:
        """Store `record` over the version `over`, 0 where there is none yet; False where somebody else was faster.

        `entry` is put into its owner's outbox in the same step.
        """
        if isinstance(record, Tenant):
            key, document = self.store.keys.tenant(record.id), encode_tenant(record, self._cipher)
        else:
            key, document = self.store.keys.org(record.id), encode_org_keys(record.keys, record.updated_at)
        outbox = self.store.keys.outbox(record.id)
        return await self.store.control.run(_WRITE, [key, outbox], [over, record.version, document, entry]) == 1

    async def reencrypt(self, tenant_id: UUID, now: float) -> bool:
        """Store a tenant's secrets under the present key, as a new version; False where they are already, or it is gone.

        Raises Refused(WRITE_CONFLICT) where others keep changing the record.
        """
        for _ in range(_ROUNDS):
            version, document = _fields(
                await self.store.control.command("HMGET", self.store.keys.tenant(tenant_id), "v", "doc")
            )
            if document is None or all(map(self._cipher.is_current, sealed_secrets(document))):
                return False
            tenant = decode_tenant(tenant_id, version, document, self._cipher)
            if await self.write(replace(tenant, version=next_version(version, now)), version):
                return True
        raise Refused(WRITE_CONFLICT)

    def _tenant(self, tenant_id: UUID, reply: Reply) -> Tenant | None:
        version, document = _fields(reply)
        return None if document is None else decode_tenant(tenant_id, version, document, self._cipher)


def next_version(version: int, now: float) -> int:
    """The version after `version`, of a record that is written at `now`, in seconds since 1970.

    It is the time in microseconds, and above the one before. A counter would come to a number again after the store has lost
    writes, and a worker that remembers the lost record would take it for the present one.
    """
    return max(version + 1, int(now * 1_000_000))


def _fields(reply: Reply) -> tuple[int, bytes | None]:
    assert isinstance(reply, list)
    version, document = reply
    if not isinstance(version, bytes) or not isinstance(document, bytes):
        return 0, None
    return int(version), document
