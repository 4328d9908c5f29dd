"""What a decision may have to ask before it can go on, and what is answered. Whoever carries the request does the I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from gateway.tenancy.tenant import Tenant

from .call import Call
from .demand import Demand, Standing
from .lookup import Lookup, Record, TenantByRef


@dataclass(frozen=True, slots=True)
class FetchKeys:
    """Refresh the keys of this issuer, as far as its bounded rate allows. Answer: None."""

    issuer: str


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Read the whole body, at most `limit` bytes, and keep it for forwarding. Answer: a WholeBody."""

    limit: int


@dataclass(frozen=True, slots=True)
class WholeBody:
    """`sha256` in lower-case hex. `content` is the body itself, None where it is larger than SMALL_BODY."""

    sha256: str
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, content: bytes) -> WholeBody:
        return cls(sha256(content).hexdigest(), content if len(content) <= SMALL_BODY else None)


SMALL_BODY = 1 << 20
"""Bytes that a policy gets to see of a body, at most: the whole of a smaller one, nothing of a larger."""


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look the record up in the store, whatever is held locally. Answer: the record, or None where there is none.

    `stale_for` is as in Admit.
    """

    lookup: Lookup
    stale_for: float | None = None


@dataclass(frozen=True, slots=True)
class Provide:
    """Make the tenant with this reference, unless somebody has meanwhile. `by` is the id of the caller's credential. Answer: a
    Provided."""

    ref: TenantByRef
    by: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Provided:
    """`created`: by this request, and no other."""

    tenant: Tenant
    created: bool


@dataclass(frozen=True, slots=True)
class Admit:
    """Check and take all demands atomically, provided that `basis`, the records decided upon, are still current.

    `stale_for`: while the store can't be reached, records will do that were current so many seconds ago at the most, and this
    worker's own limits. None: then the request is refused. `fixed`: `demands` is the very tuple that the same caller has next
    time.
    """

    call: Call
    basis: tuple[Record, ...]
    demands: tuple[Demand, ...]
    stale_for: float | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """Everything was taken. `charge` is what the ledger needs to settle; nobody else reads it."""

    standings: Sequence[Standing]
    charge: object


@dataclass(frozen=True, slots=True)
class Denied:
    """Nothing was taken. Holds the demands' standings in their order, without those that were not looked at any more."""

    standings: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class Changed:
    """Nothing was taken: a record of the basis has changed, and has been forgotten locally."""


Question = FetchKeys | ReadBody | Resolve | Provide | Admit
Answer = None | WholeBody | Record | Provided | Granted | Denied | Changed
