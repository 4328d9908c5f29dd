"""Counts a request against a metric of the month, under the tenant's cap and its organization's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.pipeline import demand
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Mode, ModeConfig, Phase, Setup


class Quota:
    """A request is counted also where neither cap is set: unlimited is not unmetered."""

    phase: ClassVar[Phase] = Phase.ADMIT

    class Config(ModeConfig):
        metric: str
        """What is counted: a built-in metric (`requests`, `emails`, `sms`, `messages`, `tokens`) or a declared one."""
        units: Annotated[int, Field(ge=1)] = 1
        """Units that one request uses."""

    def __init__(self, config: Config, setup: Setup) -> None:
        if config.metric not in setup.metrics:
            raise ValueError(f"no metric named {config.metric!r}; there are {', '.join(sorted(setup.metrics))}")
        self.mode: Mode = config.mode
        self._metric, self._units = config.metric, config.units

    def demands(self, call: Call) -> Iterable[demand.Quota]:
        customer = call.require_customer()
        cap = customer.tenant.cap(self._metric, customer.plan)
        org_cap = customer.org.quotas.get(self._metric)
        yield demand.Quota(self._metric, cap, org_cap, self._units, shadow=self.mode == "shadow")
