"""Counts a request against a metric of the month, under the tenant's cap and its organization's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gateway.errors import BODY_TOO_LARGE, INVALID_BODY, Refused
from gateway.pipeline import demand
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Mode, ModeConfig, Phase, PolicyConfig, RestsOn, Setup
from gateway.pipeline.strict_json import parse_json

# So many in one request are a mistake, and every sum of them stays exact.
_MOST_UNITS = 999_999_999


class FromJson(PolicyConfig):
    json_field: Annotated[str, Field(alias="json", min_length=1)]
    """A field of the body's JSON object."""


class Quota:
    """A request is counted also where neither cap is set: unlimited is not unmetered."""

    phase: ClassVar[Phase] = Phase.ADMIT

    class Config(ModeConfig):
        metric: str
        """What is counted: a built-in metric (`requests`, `emails`, `sms`, `messages`, `tokens`) or a declared one."""
        units: Annotated[int, Field(ge=1)] | None = None
        """Units that one request uses, where they are fixed; 1 unless said otherwise."""
        units_from: FromJson | Literal["upstream"] | None = None
        """Where the units of a request come from instead: `{json: messages}` is that field of its JSON body, a whole number or
        a list, of which the length counts; `upstream`: it tells them in `X-Usage-Units` of its answer."""
        reserve: Annotated[int, Field(ge=1)] | None = None
        """Units that are held until the upstream tells; they count where it does not."""

        @model_validator(mode="after")
        def _one_source(self) -> Self:
            if self.units_from is not None and self.units is not None:
                raise ValueError("`units` are fixed and `units_from` are not: choose one of them")
            if (self.units_from == "upstream") != (self.reserve is not None):
                raise ValueError("`units_from: upstream` and `reserve` go together: so much is held until the upstream tells")
            return self

    def __init__(self, config: Config, setup: Setup) -> None:
        if config.metric not in setup.metrics:
            raise ValueError(f"no metric named {config.metric!r}; there are {', '.join(sorted(setup.metrics))}")
        self.mode: Mode = config.mode
        self._metric, self._lazy = config.metric, setup.metrics[config.metric].lazy
        self._field = config.units_from.json_field if isinstance(config.units_from, FromJson) else None
        self._units = config.reserve or config.units or 1
        self._told = config.units_from == "upstream"
        self.reads_body = self._field is not None
        self.rests_on: RestsOn = "request" if self.reads_body else "caller"

    def demands(self, call: Call) -> Iterable[demand.Quota]:
        customer = call.require_customer()
        cap = customer.tenant.cap(self._metric, customer.plan)
        org_cap = customer.org.quotas.get(self._metric)
        units = self._units if self._field is None else _units_of(call.body, self._field)
        yield demand.Quota(self._metric, cap, org_cap, units, self._told, self.mode == "shadow", self._lazy)


def _units_of(body: bytes | None, field: str) -> int:
    """Raises Refused: BODY_TOO_LARGE, BAD_REQUEST where it is not strict JSON, INVALID_BODY."""
    if body is None:
        raise Refused(BODY_TOO_LARGE, "A body whose units are counted may have one MiB here.")
    document = parse_json(body)
    value = document.get(field) if isinstance(document, dict) else None
    units = len(value) if isinstance(value, list) else value
    if not isinstance(units, int) or isinstance(units, bool) or not 0 <= units <= _MOST_UNITS:
        message = f"must be a list, or a whole number from 0 to {_MOST_UNITS}"
        errors = [{"field": field, "message": message}]
        raise Refused(INVALID_BODY, f"The body's field {field} {message}.", members={"errors": errors})
    return units
