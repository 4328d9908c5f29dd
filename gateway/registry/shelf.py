"""Records in the store: read whole, and written only over the version that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from gateway.errors import WRITE_CONFLICT, Refused
from gateway.pipeline.lookup import Record
from gateway.store.client import Client
from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, record_tag, tenant_tag
from gateway.store.lease import KEPT_MS, RECORD_LEASE_MS
from gateway.store.script import Script
from gateway.store.wire import Part, Reply
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .cipher import Cipher
from .codec import decode_org, decode_tenant, encode_org, encode_tenant, sealed_secrets
from .continuity import Incarnation
from .owner import Owner, write_owner

_READ = Script.load("gateway.registry", "read_record")
_WRITE = Script.load("gateway.registry", "write_record")
_ACKNOWLEDGE = Script.load("gateway.registry", "acknowledge")
_ROUNDS = 8
_AT_ONCE = 500


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
        return _org(configured, await client.command("HMGET", self.store.keys.org(org_id), "v", "doc"))

    async def lease(self, owner: Owner) -> Record | None:
        """Read a record, and lease it to this process. A lease counts from before it was asked for."""
        keys, worker = self.store.keys, self.store.worker
        if isinstance(owner, UUID):
            named = [keys.tenant(owner), keys.leases(tenant_tag(owner))]
            return self._tenant(owner, await self.store.data.run(_READ, named, [worker, RECORD_LEASE_MS, KEPT_MS, 0]))
        configured = self.orgs.get(owner)
        if configured is None:
            return None
        named = [keys.org(owner), keys.leases(org_tag(owner))]
        # Of an organization it counts too that it has no keys yet.
        return _org(configured, await self.store.data.run(_READ, named, [worker, RECORD_LEASE_MS, KEPT_MS, 1]))

    async def release(self, owners: Sequence[Owner]) -> None:
        """This process holds no lease of these records any more."""
        for start in range(0, len(owners), _AT_ONCE):
            keys = map(self._leases, owners[start : start + _AT_ONCE])
            await self.store.control.gather([("ZREM", key, self.store.worker) for key in keys])

    async def write(self, record: Record, over: int, entry: bytes = b"") -> bool:
        """Store `record` over the version `over`, 0 where there is none yet, and tell all workers.

        `entry` is put into its owner's outbox in the same step. False where somebody else was faster.
        """
        keys = self.store.keys
        if isinstance(record, Tenant):
            tag, key, document = tenant_tag(record.id), keys.tenant(record.id), encode_tenant(record, self._cipher)
        else:
            tag, key, document = org_tag(record.id), keys.org(record.id), encode_org(record)
        named = [key, keys.outbox(record.id), keys.leases(tag), keys.outdated(tag)]
        args: list[Part] = [over, record.version, document, entry, keys.changes, write_owner(record.id), KEPT_MS]
        return await self.store.control.run(_WRITE, named, args) == 1

    async def acknowledge(self, owner: Owner, version: int) -> tuple[int, Incarnation]:
        """Tell the store that this process holds nothing of the record before `version`; how many others still may, and which
        store has answered."""
        reply = await self.store.control.run(_ACKNOWLEDGE, [self._outdated(owner)], [self.store.worker, version])
        assert isinstance(reply, list)
        left, server, replication = reply
        assert isinstance(left, int)
        assert isinstance(server, bytes)
        assert isinstance(replication, bytes)
        return left, Incarnation.of(server, replication)

    async def forget_outdated(self, record: Record) -> None:
        """All leases of versions before that of `record` have ended."""
        await self.store.control.command("ZREMRANGEBYSCORE", self._outdated(record.id), "-inf", record.version)

    def _leases(self, owner: Owner) -> str:
        return self.store.keys.leases(record_tag(owner))

    def _outdated(self, owner: Owner) -> str:
        return self.store.keys.outdated(record_tag(owner))

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


def _org(configured: Organization, reply: Reply) -> Organization:
    version, document = _fields(reply)
    return configured if document is None else decode_org(configured, version, document)


def _fields(reply: Reply) -> tuple[int, bytes | None]:
    assert isinstance(reply, list)
    version, document = reply
    if not isinstance(version, bytes) or not isinstance(document, bytes):
        return 0, None
    return int(version), document
