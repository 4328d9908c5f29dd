"""The four things a policy can be, and what it is built from.

A policy is a class with a nested pydantic model `Config` and one or more of the protocols below. It decides purely: what needs
the store is a demand, what needs a record is a claim's look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from gateway.errors import Problem
from gateway.tenancy.plan import Metric

from .call import Call
from .claim import Claim
from .demand import Demand
from .issuer import Issuer
from .lookup import Lookup, Record
from .principal import Principal
from .request import InboundRequest


class Phase(IntEnum):
    """The order of the walk. The policies of a route stand in this order in gateway.yaml, or the start stops."""

    AUTHENTICATE = 1
    MATCH = 2
    RIGHT = 3
    STATE = 4
    ENTITLEMENT = 5
    ADMIT = 6
    STAMP = 7


class PolicyConfig(BaseModel):
    """Base of every policy's `Config`: immutable, and an unknown key is a fault. A field's docstring is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Mode = Literal["enforce", "shadow"]


class ModeConfig(PolicyConfig):
    """Base of the `Config` of limits and guards that can be tried out on live traffic. What establishes who calls, for whom,
    and whether that tenant is served at all can't: a shadow of it would be a hole."""

    mode: Mode = "enforce"
    """`shadow` decides, counts and logs, and lets pass what it would have refused."""


@dataclass(frozen=True)
class Setup:
    """What the composition root knows when it builds a policy. `route` is the name of the route that the policy stands in,
    `resources` are those that some plan bounds."""

    route: str
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    resources: frozenset[str] = frozenset()
    key_prefix: str = "tg"


@runtime_checkable
class Policy(Protocol):
    phase: ClassVar[Phase]


@runtime_checkable
class Authenticator(Policy, Protocol):
    missing: ClassVar[Problem]
    """The refusal where this kind of credential was expected and none was sent."""
    challenge: ClassVar[str]
    """Its value of `WWW-Authenticate` (RFC 9110, 11.6.1)."""

    def presents(self, request: InboundRequest) -> bool:
        """Whether the request carries this kind of credential, good or bad."""

    def authenticate(self, request: InboundRequest) -> Claim:
        """Called where `presents` is true. Raises Refused where it is bad on its face, KeysNeeded where keys are missing."""


@runtime_checkable
class Reusable(Authenticator, Protocol):
    """Its claims may serve again for the same credential, since verifying one is costly. What such a claim proves depends on
    the record alone."""

    def presented(self, request: InboundRequest) -> str:
        """All that `authenticate` reads of the request but the time. Called where `presents` is true."""

    def holds(self, claim: Claim, now: float) -> bool:
        """Whether `authenticate` would make this claim again of the same credential, at `now` in seconds since 1970."""


@runtime_checkable
class NamesTenant(Policy, Protocol):
    """Reads the tenant from headers with names of the operator's choice. The edge treats them like the built-in ones."""

    security_headers: frozenset[str]
    """In lower case."""


@runtime_checkable
class Anonymous(Policy, Protocol):
    """Lets callers without a credential in, as `principal`."""

    principal: ClassVar[Principal]


@runtime_checkable
class CrossOrigin(Policy, Protocol):
    """Answers for browsers of other origins (Fetch standard, CORS protocol)."""

    def preflight(self, request: InboundRequest) -> Lookup:
        """The tenant whose list of origins decides about this preflight. Raises Refused."""

    def allow(self, request: InboundRequest, record: Record | None) -> Mapping[str, str]:
        """Headers of the preflight's answer. Raises Refused(ORIGIN_NOT_ALLOWED)."""

    def expose(self, call: Call) -> Mapping[str, str]:
        """Headers that let the page read the answer to its real request, a refusal included."""


@runtime_checkable
class Guard(Policy, Protocol):
    def check(self, call: Call) -> None:
        """Raises Refused."""


@runtime_checkable
class Tried(Policy, Protocol):
    """A guard or a meter that may stand in shadow: what it refuses then is noted, and passes."""

    mode: Mode


@runtime_checkable
class Meter(Policy, Protocol):
    def demands(self, call: Call) -> Iterable[Demand]: ...


@runtime_checkable
class ReadsBody(Policy, Protocol):
    """A guard of entitlements or a meter that may need `Call.body`, which is then read whole before it is asked."""

    reads_body: bool


@runtime_checkable
class SeesOrganization(Policy, Protocol):
    """A guard of the tenant's that needs the record of its organization, as it is stored, and not only what is configured."""

    sees_organization: ClassVar[bool]


@runtime_checkable
class Stamp(Policy, Protocol):
    def stamp(self, call: Call, headers: MutableMapping[str, str]) -> None:
        """Set headers toward the upstream. Names in lower case; the client's identity headers are gone already."""


RestsOn = Literal["caller", "head", "request"]
"""`caller`: the call's principal and customer alone. `head`: these, the head of the request, and where it came from. `request`:
the time, the body, the request's id or anything else beside."""


@runtime_checkable
class Foreseen(Policy, Protocol):
    """Says what all that it decides follows from, so that it need not be asked each time. A policy that does not say rests on
    the whole request."""

    rests_on: RestsOn


def rests_on(policy: Policy) -> RestsOn:
    """An authenticator rests on the head also where the time matters, as far as `Reusable.holds` or `Principal.until` tells."""
    if isinstance(policy, Foreseen):
        return policy.rests_on
    return "head" if isinstance(policy, Reusable | Anonymous) else "request"
