"""An issuer of JWTs, as policies see it. Keys come and go by rotation, so they hide behind a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jwt import PyJWK


class KeySet(Protocol):
    @property
    def generation(self) -> int:
        """Another one as soon as the keys have changed."""

    def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        """Keys that may have signed: the one named `kid`, or all of the algorithm's type where the token names none.
        Raises KeysNeeded where a fetch may bring it, Refused(KEYS_UNAVAILABLE) where the last fetch has failed."""


@dataclass(frozen=True)
class Issuer:
    """`tenant_claim`, `role_claim`, `scope_claim` name the claims; `leeway` is in seconds. `org`: the
    organization whose tenants alone its tokens may name; None: any."""

    name: str
    algorithms: frozenset[str]
    keys: KeySet
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 0.0
    tenant_claim: str = "tenant"
    role_claim: str = "role"
    scope_claim: str = "scope"
    org: str | None = None
