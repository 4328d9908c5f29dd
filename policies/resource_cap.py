"""Bounds how many of a thing a tenant has, such as users, by the plan's `resources`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Release, Reserve
from gateway.pipeline.policy import Mode, ModeConfig, Phase, Setup


class ResourceCap:
    """The route that makes one reserves it, the one that deletes it gives it back. What no plan bounds is counted too."""

    phase: ClassVar[Phase] = Phase.ADMIT

    class Config(ModeConfig):
        resource: str
        """What is counted; some plan names it in its `resources`."""
        action: Literal["reserve", "release"] = "reserve"
        """`reserve` on the route that makes one, `release` on the route that deletes one. Both count where the upstream has
        answered 2xx."""

    def __init__(self, config: Config, setup: Setup) -> None:
        if config.resource not in setup.resources:
            known = ", ".join(sorted(setup.resources)) or "none"
            raise ValueError(f"no plan has a resource named {config.resource!r}; there are {known}")
        self.mode: Mode = config.mode
        self._resource, self._action = config.resource, config.action

    def demands(self, call: Call) -> Iterable[Reserve | Release]:
        customer = call.require_customer()
        if self._action == "release":
            yield Release(self._resource)
        else:
            yield Reserve(self._resource, customer.plan.resources.get(self._resource), shadow=self.mode == "shadow")
