"""Bounds how often requests may come (GCRA): of a tenant over all its routes, or on one route of whoever is counted there."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Rate, RateScope
from gateway.pipeline.policy import Mode, ModeConfig, Phase, RestsOn, Setup
from gateway.tenancy import plan


class RateLimit:
    """Without a `rate`: the tenant's own or its plan's, and the credential's own beside it. A `rate` given here is a further
    limit, of this route alone; the same route may have several."""

    phase: ClassVar[Phase] = Phase.ADMIT

    class Config(ModeConfig):
        per: RateScope = "tenant"
        """Who shares the limit: the `tenant`, the `credential` (key, or subject of a token), all callers of the `route`, or
        the `client_ip` (IPv6: its /64, which is what one subscriber gets)."""
        rate: str | None = None
        """Such as `100/second`, `60/minute`, `1000/hour`, `5/day`; none: the tenant's own rate or its plan's. 0 blocks."""
        burst: Annotated[int, Field(ge=0)] | None = None
        """How many may come at once; default: the rate's count."""
        name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] | None = None
        """What the limit is called in `RateLimit` and `violated-policies`; default: the route's name, or `tenant`."""

        @model_validator(mode="after")
        def _is_a_limit(self) -> Self:
            if self.rate is not None:
                plan.RateLimit.parse(self.rate, self.burst)
            elif self.per != "tenant":
                raise ValueError(f"`per: {self.per}` needs a `rate`: plans hold only the rate of a tenant")
            elif self.burst is not None:
                raise ValueError("`burst` needs a `rate`: the plan's rate has its own burst")
            return self

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode
        self._shadow = config.mode == "shadow"
        self._per: RateScope = config.per
        self._limit = None if config.rate is None else plan.RateLimit.parse(config.rate, config.burst)
        self._name = config.name or ("tenant" if self._limit is None else setup.route)
        self._route = setup.route
        self.rests_on: RestsOn = "head" if config.per == "client_ip" else "caller"

    def demands(self, call: Call) -> Iterable[Rate]:
        if self._limit is not None:
            # The window tells two limits of one route apart, a changed count keeps what was used.
            subject = f"{_subject(self._per, call)}:{self._route}:{self._limit.window}"
            yield Rate(self._name, self._per, subject, self._limit, self._shadow)
            return
        account = _account(call)
        own = None if call.customer is None else call.customer.tenant.rate_limit(call.customer.plan)
        if own is not None:
            yield Rate(self._name, "tenant", account, own, self._shadow)
        if call.principal.rate is not None:
            yield Rate("credential", "credential", _credential(call), call.principal.rate, self._shadow)


def _subject(per: RateScope, call: Call) -> str:
    match per:
        case "tenant":
            return _account(call)
        case "credential":
            return _credential(call)
        case "client_ip":
            return _network(call.request.client_ip)
        case "route":
            return "all"


def _account(call: Call) -> str:
    """The tenant that is charged; the organization where a platform key acts for none. Raises Refused for anybody else."""
    if call.principal.root and call.customer is None:
        return f"org:{call.principal.org}"
    return str(call.require_customer().tenant.id)


def _credential(call: Call) -> str:
    """Names are unique only within whoever issued them. A platform key is one, whichever tenant it acts for; a token is
    renewed at will, so its subject is counted."""
    principal = call.principal
    issuer = f"org:{principal.org}" if principal.root else _account(call)
    name = principal.subject if principal.method == "jwt" else principal.credential_id or principal.subject
    return f"{issuer}:{principal.method}:{name}"


def _network(client_ip: str) -> str:
    try:
        address = ip_address(client_ip.partition("%")[0])
    except ValueError:
        return client_ip
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
