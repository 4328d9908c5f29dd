"""Credentials whose proof is costly, and held a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from .claim import Claim, Evidence
from .lookup import Lookup, Record
from .policy import Authenticator, Reusable
from .principal import Principal
from .request import InboundRequest

# A tenant that has more credentials in use loses its own, never another's.
_OWN, _ALL = 1_000, 10_000

Key = tuple[Authenticator, bytes]


@dataclass(slots=True)
class Proven:
    """`claim` was proved against `record`, and gave `principal`. Against another record it has to be proved again."""

    claim: Claim
    record: Record | None
    principal: Principal


class Verified:
    """Claims by the digest of what was presented, so that no credential is kept. What is found still holds by itself: it has
    not expired, and the keys that it was verified with are those of now. `own`: how many are kept of one owner, of `size` in
    all."""

    def __init__(self, own: int = _OWN, size: int = _ALL) -> None:
        self._own, self._size = own, size
        self._found: dict[Key, Proven] = {}
        self._owners: OrderedDict[Lookup, OrderedDict[Key, None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def find(self, authenticator: Reusable, request: InboundRequest) -> Proven | None:
        key = _key(authenticator, request)
        proven = self._found.get(key)
        if proven is None:
            return None
        if not authenticator.holds(proven.claim, request.received_at):
            self._forget(key, proven)
            return None
        return proven

    def keep(
        self, authenticator: Reusable, request: InboundRequest, claim: Claim, record: Record | None, principal: Principal
    ) -> Proven:
        key = _key(authenticator, request)
        known = self._found.get(key)
        if known is not None:
            self._forget(key, known)
        proven = self._found[key] = Proven(claim, record, principal)
        owned = self._owners.setdefault(claim.lookup, OrderedDict())
        owned[key] = None
        self._owners.move_to_end(claim.lookup)
        if len(owned) > self._own:
            self._drop(claim.lookup, owned)
        elif len(self._found) > self._size:
            self._drop(*next(iter(self._owners.items())))
        return proven

    def _drop(self, owner: Lookup, owned: OrderedDict[Key, None]) -> None:
        key, _ = owned.popitem(last=False)
        del self._found[key]
        if not owned:
            del self._owners[owner]

    def _forget(self, key: Key, proven: Proven) -> None:
        del self._found[key]
        owned = self._owners[proven.claim.lookup]
        del owned[key]
        if not owned:
            del self._owners[proven.claim.lookup]


@dataclass(slots=True)
class Credential:
    """What a request presents. `reusable` is None where nothing is remembered of it."""

    claim: Claim
    reusable: Reusable | None = None
    proven: Proven | None = None

    def prove(self, record: Record | None, body_sha256: str | None, verified: Verified, request: InboundRequest) -> Principal:
        """Who calls. Raises Refused; what held is remembered in `verified`."""
        if self.proven is not None and self.proven.record is record:
            return self.proven.principal
        principal = self.claim.prove(Evidence(record, body_sha256))
        if self.reusable is not None:
            self.proven = verified.keep(self.reusable, request, self.claim, record, principal)
        return principal


def _key(authenticator: Reusable, request: InboundRequest) -> Key:
    """Authenticators of two routes may accept different issuers, so each has its own."""
    return authenticator, blake2b(authenticator.presented(request).encode("latin-1"), digest_size=32).digest()
