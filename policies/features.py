"""The tenant's plan, or the tenant's own override, must include the features that the route requires."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.errors import FEATURE_NOT_IN_PLAN, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Mode, ModeConfig, Phase, RestsOn, Setup


class Features:
    phase: ClassVar[Phase] = Phase.ENTITLEMENT
    rests_on: ClassVar[RestsOn] = "head"

    class Config(ModeConfig):
        require: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
        """Features that the tenant must have, all of them."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode
        self._required = config.require

    def check(self, call: Call) -> None:
        customer = call.require_customer()
        missing = [name for name in self._required if not customer.tenant.has_feature(name, customer.plan)]
        if missing:
            raise Refused(FEATURE_NOT_IN_PLAN, f"The plan {customer.plan.name} does not include {', '.join(missing)}.")
