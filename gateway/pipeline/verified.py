"""Credentials whose proof is costly, and held a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from .claim import Claim, Evidence
from .fair import FairCache
from .lookup import Record
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
        self._found = FairCache[Key, Proven](own, size)

    def __len__(self) -> int:
        return len(self._found)

    def find(self, authenticator: Reusable, request: InboundRequest) -> Proven | None:
        key = _key(authenticator, request)
        proven = self._found.get(key)
        if proven is None or authenticator.holds(proven.claim, request.received_at):
            return proven
        self._found.forget(key)
        return None

    def keep(
        self, authenticator: Reusable, request: InboundRequest, claim: Claim, record: Record | None, principal: Principal
    ) -> Proven:
        proven = Proven(claim, record, principal)
        self._found.put(claim.lookup, _key(authenticator, request), proven)
        return proven


@dataclass(slots=True)
class Credential:
    """What a request presents, to whom. `reusable` is None where nothing is remembered of it; `proven` is what was."""

    claim: Claim
    authenticator: Authenticator
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
