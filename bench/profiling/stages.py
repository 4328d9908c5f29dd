"""The stages of a request, in their order, which ways lead through which, and which code belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import CodeType


class Way(Enum):
    """How a request goes through the gateway, by what is known of its head."""

    SHORT_CUT = "a head that came before"
    WALK = "a head that is new each time"


_SHORT_CUT, _WALK, _BOTH = (Way.SHORT_CUT,), (Way.WALK,), tuple(Way)


@dataclass(frozen=True)
class Stage:
    """`ways` are those that lead through it. `places` are modules, or functions in them (`module:qualname`), which count more.
    What is called from a stage and stands in none belongs to that stage too."""

    name: str
    ways: Sequence[Way]
    places: Sequence[str]


REST = "around the decision"
CARRYING = "carrying"
OURSELVES = "the profile itself"

STAGES = (
    Stage("cut out the head", _BOTH, ("gateway.edge.incoming",)),
    Stage("recall where it leads", _BOTH, ("gateway.express.flow:Flows.recall",)),
    Stage("does that still hold", _SHORT_CUT, ("gateway.pipeline.precedent:Precedent.holds",)),
    Stage("read the head", _WALK, ("gateway.edge.head",)),
    Stage("check headers and target", _WALK, ("gateway.edge.hygiene", "gateway.routing.canonical")),
    Stage("build the request", _WALK, ("gateway.edge.request", "gateway.edge.origin:Origins.of")),
    Stage("match the route", _WALK, ("gateway.routing.match",)),
    Stage(
        "authenticate",
        _WALK,
        (
            "gateway.decision:Decider._credential",
            "gateway.pipeline.chain:Chain.authenticator",
            "gateway.pipeline.verified:Verified.find",
        ),
    ),
    Stage("find the tenant", _WALK, ("gateway.decision:Decider._identify", "gateway.pipeline.sight:Sight.basis")),
    Stage("guards", _WALK, ("gateway.pipeline.chain:Chain.check_right", "gateway.pipeline.chain:Chain.check_tenant")),
    Stage("demands", _WALK, ("gateway.pipeline.chain:Chain.demands",)),
    Stage("take what is demanded (ledger)", _BOTH, ("gateway.ledger.ledger:Ledger.take", "gateway.ledger.local:Local.take")),
    Stage(REST, _WALK, ("gateway.decision",)),
    Stage(
        "request's id",
        _BOTH,
        ("gateway.edge.origin:new_request_id", "gateway.edge.origin:Origins.request_id"),
    ),
    Stage("headers of limits", _BOTH, ("gateway.pipeline.limits:limit_headers", "gateway.express.repeat:Repeat._told_limits")),
    Stage("identity token", _WALK, ("gateway.forward.identity",)),
    Stage(
        "opening for the upstream",
        _BOTH,
        (
            "gateway.forward.headers:outbound",
            "gateway.forward.exchange:_opening",
            "gateway.forward.exchange:request_head",
            "gateway.express.flow:Flow.opening",
        ),
    ),
    Stage(
        "exchange and connection",
        _BOTH,
        (
            "gateway.forward.exchange",
            "gateway.forward.pool:Upstreams.begin",
            "gateway.forward.target",
            "gateway.forward.connection",
        ),
    ),
    Stage(
        "read the response",
        _BOTH,
        (
            "gateway.forward.response",
            "gateway.forward.response_head",
            "gateway.forward.connection:UpstreamConnection.data_received",
        ),
    ),
    Stage(
        "head of the answer",
        _BOTH,
        (
            "gateway.edge.answer:answer_fields",
            "gateway.edge.answer:date",
            "gateway.edge.outgoing",
            "gateway.express.repeat:Repeat.head",
            "gateway.express.repeat:Repeat._finish",
            "gateway.forward.headers:inbound",
            "gateway.forward.response_head:ResponseHead.fields",
            "gateway.forward.response_head:ResponseHead.names",
            "gateway.forward.response_head:ResponseHead.rendered",
        ),
    ),
    Stage("count", _BOTH, ("gateway.ledger.ledger:Ledger.count", "gateway.ledger.settlement:Settlement.count")),
    Stage(
        "settle",
        _BOTH,
        (
            "gateway.ledger.ledger:Ledger.settle_soon",
            "gateway.ledger.settlement:Settlement.settle",
            "gateway.pipeline.limits:overruns",
        ),
    ),
    Stage("metrics", _BOTH, ("gateway.telemetry.metrics", "gateway.telemetry.tally")),
    Stage("line of log", _BOTH, tuple(f"gateway.telemetry.access:AccessLog.{name}" for name in ("write", "add", "flush"))),
    Stage(
        "learn where it leads",
        _WALK,
        (
            "gateway.express.flow:Flows.learn",
            "gateway.express.flow:_is_plain",
            "gateway.express.flow:_flow",
            "gateway.express.flow:_parts",
            "gateway.edge.head:value_spans",
            "gateway.edge.observe:Observer.watch",
            "gateway.forward.exchange:framing",
            "gateway.forward.pool:Upstreams.chooser",
            "gateway.pipeline.precedent:Precedent.of",
            "gateway.telemetry.metrics:Metrics.answers",
            "gateway.telemetry.metrics:Answers.__init__",
        ),
    ),
    Stage(
        CARRYING,
        _BOTH,
        (
            "gateway.express.server",
            "gateway.express.passage",
            "gateway.express.repeat",
            "gateway.transaction",
            "gateway.edge.connection",
            "gateway.edge.pipe",
            "gateway.edge.observe",
        ),
    ),
    Stage(OURSELVES, _BOTH, ("bench.profiling.transports", "bench.profiling.batches")),
)

_BY_PLACE = {place: number for number, stage in enumerate(STAGES) for place in stage.places}
_ROOT = Path(__file__).parents[2]


@cache
def stage_of(code: CodeType) -> int | None:
    """The number of the stage that a function belongs to by its own place, or by that of the function that it stands in; None
    where it belongs to that of its caller."""
    file = Path(code.co_filename)
    if not file.is_relative_to(_ROOT):
        return None
    module = ".".join(file.relative_to(_ROOT).with_suffix("").parts)
    outer = code.co_qualname.partition(".<locals>")[0]
    return _BY_PLACE.get(f"{module}:{outer}", _BY_PLACE.get(module))
