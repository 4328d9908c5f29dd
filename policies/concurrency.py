"""Bounds how many requests run at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Slot
from gateway.pipeline.policy import Mode, ModeConfig, Phase, RestsOn, Setup


class Concurrency:
    """Without a `limit` it is the plan's, over all routes that ask so. A `limit` given here is this route's alone."""

    phase: ClassVar[Phase] = Phase.ADMIT
    rests_on: ClassVar[RestsOn] = "caller"

    class Config(ModeConfig):
        limit: Annotated[int, Field(ge=0)] | None = None
        """Requests at once; none: what the tenant's plan says. 0 blocks."""
        per: Literal["tenant", "route"] = "tenant"
        """Whether each tenant has this many places, or all callers of the route share them."""

        @model_validator(mode="after")
        def _route_has_a_limit(self) -> Self:
            if self.per == "route" and self.limit is None:
                raise ValueError("`per: route` needs a `limit`: a plan speaks of one tenant only")
            return self

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode
        self._limit, self._per = config.limit, config.per
        self._route = setup.route

    def demands(self, call: Call) -> Iterable[Slot]:
        if self._per == "route":
            assert self._limit is not None
            yield self._slot("route", self._route, self._limit)
            return
        customer = call.require_customer()
        if self._limit is not None:
            yield self._slot("tenant", f"{customer.tenant.id}:{self._route}", self._limit)
        elif customer.plan.concurrency is not None:
            yield self._slot("tenant", str(customer.tenant.id), customer.plan.concurrency)

    def _slot(self, scope: Literal["tenant", "route"], subject: str, limit: int) -> Slot:
        return Slot("concurrency", scope, subject, limit, shadow=self.mode == "shadow")
