"""The policies of one route, sorted once into what the walk asks of them. The order is that of gateway.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import AMBIGUOUS_CREDENTIALS, CREDENTIAL_NOT_ACCEPTED, Problem, Refused

from .call import Call
from .demand import Demand, Nonce
from .memo import IdentityMemo
from .policy import (
    Anonymous,
    Authenticator,
    CrossOrigin,
    Guard,
    Meter,
    Phase,
    Policy,
    ReadsBody,
    Reusable,
    SeesOrganization,
    Stamp,
    Tried,
    rests_on,
)
from .principal import Principal
from .request import InboundRequest


@dataclass(frozen=True, eq=False)
class Chain:
    """`others` are the authenticators of other routes: they only tell whether a second kind of credential is present.
    `rights` are the guards of the caller's right, `guards` those of the tenant's state and entitlements, `readers` the first
    of these that reads the body and all after it.
    `reusable`: those authenticators whose claims may serve again. `foreseen`: of whose claims all that is decided
    follows from the head of a request, the records, and the claim; None stands for callers without one."""

    authenticators: tuple[Authenticator, ...]
    others: tuple[Authenticator, ...]
    anonymous: Principal | None
    cross_origin: CrossOrigin | None
    rights: tuple[Guard, ...]
    guards: tuple[Guard, ...]
    readers: tuple[Guard, ...]
    meters: tuple[Meter, ...]
    stamps: tuple[Stamp, ...]
    reads_body: bool
    sees_organization: bool
    stamps_by_caller: bool
    demands_by_caller: bool
    foreseen: frozenset[Authenticator | None]
    reusable: Mapping[Authenticator, Reusable]
    _demands: IdentityMemo[tuple[Demand, ...]] = field(default_factory=IdentityMemo, init=False, repr=False)

    @classmethod
    def of(cls, policies: Sequence[Policy], others: Iterable[Authenticator] = ()) -> Chain:
        kinds = {type(policy) for policy in policies}
        guards = tuple(p for p in policies if isinstance(p, Guard) and p.phase > Phase.RIGHT)
        first = next((place for place, p in enumerate(guards) if _reads_body(p)), len(guards))
        return cls(
            authenticators=tuple(p for p in policies if isinstance(p, Authenticator)),
            others=tuple({type(p): p for p in others if type(p) not in kinds}.values()),
            anonymous=next((p.principal for p in policies if isinstance(p, Anonymous)), None),
            cross_origin=next((p for p in policies if isinstance(p, CrossOrigin)), None),
            rights=tuple(p for p in policies if isinstance(p, Guard) and p.phase <= Phase.RIGHT),
            guards=guards[:first],
            readers=guards[first:],
            meters=tuple(p for p in policies if isinstance(p, Meter)),
            stamps=tuple(p for p in policies if isinstance(p, Stamp)),
            stamps_by_caller=all(rests_on(p) == "caller" for p in policies if isinstance(p, Stamp)),
            # What one in shadow would have refused has to be noted each time.
            demands_by_caller=all(rests_on(p) == "caller" and not _in_shadow(p) for p in policies if isinstance(p, Meter)),
            foreseen=_foreseen(policies),
            reusable={p: p for p in policies if isinstance(p, Reusable)},
            reads_body=any(map(_reads_body, policies)),
            sees_organization=any(isinstance(p, SeesOrganization) and p.sees_organization for p in policies),
        )

    def authenticator(self, request: InboundRequest) -> Authenticator | None:
        """Whose credential the request carries; None: nobody's, and the route lets anonymous callers in. Raises Refused."""
        if not self.authenticators and self.anonymous is not None:
            return None
        present = [a for a in self.authenticators if a.presents(request)]
        foreign = [a for a in self.others if a.presents(request)]
        if len(present) + len(foreign) > 1:
            raise Refused(AMBIGUOUS_CREDENTIALS)
        if present:
            return present[0]
        if foreign:
            raise Refused(CREDENTIAL_NOT_ACCEPTED, headers=self.challenges())
        if self.anonymous is not None:
            return None
        raise Refused(self.authenticators[0].missing, headers=self.challenges())

    def check_right(self, call: Call, shadowed: list[Problem]) -> None:
        """May the caller do this at all? Raises Refused; what a guard in shadow would have refused is added to `shadowed`."""
        _check(self.rights, call, shadowed)

    def check_tenant(self, call: Call, shadowed: list[Problem]) -> None:
        """Likewise, after that: is the tenant served, and entitled to it?"""
        _check(self.guards, call, shadowed)

    def check_body(self, call: Call, shadowed: list[Problem]) -> None:
        """Likewise, with the body, and after it was read."""
        _check(self.readers, call, shadowed)

    def demands(self, call: Call, shadowed: list[Problem]) -> tuple[Demand, ...]:
        """All demands of the call: the credential's own nonce first, then those of the meters. Raises as `check` does."""
        if self.demands_by_caller and call.principal.nonce is None:
            return self._demands(lambda: self._demanded(call, shadowed), call.principal, call.customer)
        return self._demanded(call, shadowed)

    def _demanded(self, call: Call, shadowed: list[Problem]) -> tuple[Demand, ...]:
        wanted: list[Demand] = []
        if call.principal.nonce is not None:
            wanted.append(Nonce(call.principal.nonce, call.principal.nonce_ttl))
        for meter in self.meters:
            try:
                wanted.extend(meter.demands(call))
            except Refused as refused:
                _pass_in_shadow(meter, refused, shadowed)
        return tuple(wanted)

    def stamp(self, call: Call, headers: MutableMapping[str, str]) -> None:
        for stamp in self.stamps:
            stamp.stamp(call, headers)

    def challenges(self) -> tuple[tuple[str, str], ...]:
        """What a 401 of this route has to say (RFC 9110, 15.5.2)."""
        return tuple(dict.fromkeys(("WWW-Authenticate", a.challenge) for a in self.authenticators))


def _foreseen(policies: Sequence[Policy]) -> frozenset[Authenticator | None]:
    authenticators = {policy for policy in policies if isinstance(policy, Authenticator)}
    if any(rests_on(policy) == "request" or _in_shadow(policy) for policy in policies if policy not in authenticators):
        return frozenset()
    return frozenset({None, *(policy for policy in authenticators if rests_on(policy) != "request")})


def _check(guards: Iterable[Guard], call: Call, shadowed: list[Problem]) -> None:
    for guard in guards:
        try:
            guard.check(call)
        except Refused as refused:
            _pass_in_shadow(guard, refused, shadowed)


def _reads_body(policy: Policy) -> bool:
    return isinstance(policy, ReadsBody) and policy.reads_body


def _in_shadow(policy: Policy) -> bool:
    return isinstance(policy, Tried) and policy.mode == "shadow"


def _pass_in_shadow(policy: Policy, refused: Refused, shadowed: list[Problem]) -> None:
    if not _in_shadow(policy):
        raise refused
    shadowed.append(refused.problem)
