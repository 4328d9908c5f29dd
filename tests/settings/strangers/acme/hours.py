"""A policy of somebody else, as gateway.yaml may name it by its dotted path: `acme.hours.BusinessHours`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from gateway.errors import FEATURE_NOT_IN_PLAN, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, Setup


class BusinessHours:
    """Requests pass in business hours (UTC) only."""

    phase: ClassVar[Phase] = Phase.ENTITLEMENT

    class Config(PolicyConfig):
        opens: int = 9
        """First hour."""
        closes: int = 17
        """Hour after the last."""

    def __init__(self, config: Config, setup: Setup) -> None:
        if config.opens >= config.closes:
            raise ValueError("it must open before it closes")
        self._hours = range(config.opens, config.closes)

    def check(self, call: Call) -> None:
        if datetime.fromtimestamp(call.request.received_at, UTC).hour not in self._hours:
            raise Refused(FEATURE_NOT_IN_PLAN)


class Calendar:
    """Not a policy."""
