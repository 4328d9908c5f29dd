"""The name of every key in the store.

All keys of a tenant carry its id as hash tag, all keys of an organization its own, so that each lies in one slot of a cluster
and one script can touch it whole. Parts that callers choose are percent-encoded: none can leave its place.

One call may name keys of one group. A single server is one group; where the store is sharded, those with one tag are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote
from uuid import UUID

_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_OWN = "own"
ONE_GROUP = (_OWN,)
"""All groups of a single server."""


def _escape(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else quote(part, safe="")


class Keyspace:
    """`prefix` parts gateways that share a store. `sharded`: not all keys lie on one server."""

    def __init__(self, prefix: str, *, sharded: bool = False) -> None:
        self._prefix = prefix
        self.sharded = sharded

    def group(self, key: str) -> str:
        """Keys of the same group may be named in one call."""
        if not self.sharded:
            return _OWN
        _, _, rest = key.partition("{")
        return rest.partition("}")[0]

    def groups(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those of `keys`, in their order. Of a single server they need not be told."""
        return tuple(dict.fromkeys(map(self.group, keys))) if self.sharded else ONE_GROUP

    @property
    def changes(self) -> str:
        """Channel: owner and version of every record that is written."""
        return f"{self._prefix}:changes"

    def tenant(self, tenant: UUID) -> str:
        """Hash: `v`, the version, and `doc`, the record."""
        return self._key(tenant_tag(tenant), "record")

    def org(self, org: str) -> str:
        """Hash: `v` and `doc`, of what is stored of an organization."""
        return self._key(org_tag(org), "record")

    def leases(self, tag: str) -> str:
        """Sorted set: workers with a lease of the present version of a record, by its end (milliseconds since 1970)."""
        return self._key(tag, "leases")

    def outdated(self, tag: str) -> str:
        """Sorted set: workers that may still decide under an older version, by the version that they have to drop it for."""
        return self._key(tag, "outdated")

    def slug(self, slug: str) -> str:
        """String: id of the tenant with this slug, or of one that is being created."""
        return self._key(f"slug:{_escape(slug)}")

    def ref(self, org: str, ref: str) -> str:
        """String: id of the tenant with this external reference."""
        return self._key(f"ref:{_escape(org)}:{_escape(ref)}")

    def api_key(self, digest: str) -> str:
        """String: who owns the API key with this SHA-256."""
        return self._key(f"key:{_escape(digest)}")

    def widget_key(self, key: str) -> str:
        """String: id of the tenant with this widget key."""
        return self._key(f"widget:{_escape(key)}")

    def origin(self, origin: str) -> str:
        """Sorted set: tenants that list this origin, by the version of the record that last did."""
        return self._key(f"origin:{_escape(origin)}")

    def tenants(self, org: str | None = None) -> str:
        """Sorted set: ids of the tenants of an organization, or of all, by time of creation."""
        return self._key("tenants") if org is None else self._key(org_tag(org), "tenants")

    def usage(self, tag: str, period: str) -> str:
        """Hash: units by metric, of a tenant or an organization in a period, as far as they are counted; of a tenant by
        metric and day besides."""
        return self._key(tag, "usage", period)

    def credential_usage(self, tag: str, period: str) -> str:
        """Hash: units by metric and credential, of a tenant in a period; of an organization those of its own keys."""
        return self._key(tag, "usage-by-credential", period)

    def rate(self, tag: str, scope: str, name: str, subject: str) -> str:
        """String: the theoretical arrival time of a bucket, and the limit that it was admitted by."""
        return self._key(tag, "rate", scope, name, subject)

    def slots(self, tag: str, name: str, subject: str) -> str:
        """What slots are lent under; nothing stands here itself."""
        return self._key(tag, "slots", name, subject)

    def lent(self, bucket: str) -> tuple[str, str]:
        """Of the bucket with this key, what workers hold: a hash of units by epoch, and a sorted set of epochs by their end."""
        return f"{bucket}:lent", f"{bucket}:ends"

    def exchange(self, group: str, ledger: str) -> str:
        """String: the number of a ledger's last exchange about keys of this group, and what was answered."""
        return self._key(group, "exchange", ledger)

    def journal(self, group: str, name: str) -> str:
        """String: the number of the last entry of a worker's journal that was counted in this group."""
        return self._key(group, "journal", name)

    def resources(self, tag: str) -> str:
        """Hash: how many a tenant has of each resource. It stands for what exists, so it never expires."""
        return self._key(tag, "resources")

    def reservations(self, tag: str, resource: str) -> str:
        """Sorted set: requests that may have made one more, by the time that they were admitted. Nor does this expire."""
        return self._key(tag, "reservations", resource)

    def nonce(self, tag: str, value: str) -> str:
        """String that exists while the nonce is remembered."""
        return self._key(tag, "nonce", value)

    def outbox(self, owner: UUID | str) -> str:
        """List: audit entries of changes that were made, of a tenant or an organization, on their way to the trail."""
        return self._key(record_tag(owner), "outbox")

    def audit(self, org: str) -> str:
        """Stream: the audit trail of an organization."""
        return self._key(org_tag(org), "audit")

    def audit_heads(self, org: str) -> str:
        """Hash: where the trail ends, and by owner up to which version of its record it tells."""
        return self._key(org_tag(org), "audit-heads")

    def answer(self, caller: str, key: str) -> str:
        """Hash: the answer that this caller was given to the request with this idempotency key."""
        return self._key(f"answer:{_escape(caller)}", key)

    def keys(self, org: str) -> str:
        """Sorted set, in the order of its members alone: id and owner of each API key of an organization and its tenants."""
        return self._key(org_tag(org), "keys")

    def words(self, org: str) -> str:
        """Sorted set, all of one score: what the organization's tenants are found by, each with a NUL and the tenant's id."""
        return self._key(org_tag(org), "words")

    def auto_creations(self, org: str) -> str:
        """List: when requests have made the organization's last tenants, the newest first."""
        return self._key(org_tag(org), "auto-creations")

    def last_used(self, tag: str) -> str:
        """Hash: when keys of a tenant or an organization were used last (seconds since 1970), by id."""
        return self._key(tag, "last-used")

    def webhooks(self, org: str) -> str:
        """Sorted set of equal scores: id and owner of each webhook of an organization and of its tenants."""
        return self._key(org_tag(org), "webhooks")

    def webhook_cursor(self, org: str) -> str:
        """String: number of the last entry of the audit trail whose event was handed to the webhooks' queues."""
        return self._key(org_tag(org), "webhook-cursor")

    def webhooks_due(self, org: str) -> str:
        """Sorted set: webhooks for which something waits, by the time when the first of it is due (milliseconds since 1970)."""
        return self._key(org_tag(org), "webhooks-due")

    def webhooks_waiting(self, org: str) -> str:
        """Hash: by webhook, how many events wait for it. They stand for what is still to be told, so it never expires."""
        return self._key(org_tag(org), "webhooks-waiting")

    def webhook_lanes(self, org: str, webhook: str) -> str:
        """Sorted set: tenants of which events wait for a webhook, by the time when the first of them is due."""
        return self._key(org_tag(org), "webhook", webhook, "lanes")

    def webhook_lane(self, org: str, webhook: str, tenant: str) -> str:
        """List: a tenant's events that wait for a webhook, in their order."""
        return self._key(org_tag(org), "webhook", webhook, "lane", tenant)

    def webhook_log(self, org: str, webhook: str) -> str:
        """Stream: the last attempts to deliver to a webhook."""
        return self._key(org_tag(org), "webhook", webhook, "log")

    def dead_letters(self, org: str, webhook: str) -> str:
        """Stream: events that a webhook could not be told."""
        return self._key(org_tag(org), "webhook", webhook, "dead")

    def quota_told(self, org: str, tenant: UUID, metric: str, period: str, cap: int) -> str:
        """String that exists when webhooks were told that a tenant has used up this cap in this period."""
        return self._key(org_tag(org), "quota-told", str(tenant), metric, period, str(cap))

    def billed(self, tag: str, period: str) -> str:
        """Hash: what of a tenant's use in a period was told to those who bill it, by receiver, metric and day."""
        return self._key(tag, "billed", period)

    def domain(self, name: str) -> str:
        """String: who has proved that this internet domain is its own, and when it said so."""
        return self._key(f"domain:{_escape(name)}")

    def domains(self, org: str) -> str:
        """Sorted set, all scores alike: the domains of an organization and its tenants, each with its owner, by id."""
        return self._key(org_tag(org), "domains")

    def domain_checks(self, domain: str) -> str:
        """String: how often the proof of a domain was looked for lately."""
        return self._key(f"domain-checks:{_escape(domain)}")

    def named(self, name: str) -> str:
        """A value that the gateway itself keeps, of which there is one."""
        return self._key(_OWN, name)

    def _key(self, tag: str, *parts: str) -> str:
        return f"{self._prefix}:{{{tag}}}" + "".join(f":{_escape(part)}" for part in parts)


def tenant_tag(tenant: UUID) -> str:
    return str(tenant)


def org_tag(org: str) -> str:
    return f"org:{_escape(org)}"


def record_tag(owner: UUID | str) -> str:
    """Of a record by its id: a tenant's is a UUID, an organization's its name."""
    return tenant_tag(owner) if isinstance(owner, UUID) else org_tag(owner)


def route_tag(route: str) -> str:
    return f"route:{_escape(route)}"


def client_tag(client_ip: str) -> str:
    return f"client:{_escape(client_ip)}"
