"""The stages of a request, in the order of the walk, and which code belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType


@dataclass(frozen=True)
class Stage:
    """`places` are modules, or functions in them (`module:qualname`), which count more. What is called from a stage and
    stands in none belongs to that stage too."""

    name: str
    places: Sequence[str] = ()


REST = "around the decision"
CARRYING = "carrying"
OURSELVES = "the profile itself"

STAGES = (
    Stage("read the head", ("gateway.edge.head", "gateway.edge.incoming")),
    Stage("check headers and target", ("gateway.edge.hygiene", "gateway.routing.canonical")),
    Stage("build the request", ("gateway.edge.request", "gateway.edge.origin")),
    Stage("match the route", ("gateway.routing.match",)),
    Stage(
        "authenticate",
        (
            "gateway.decision:Decider._credential",
            "gateway.pipeline.chain:Chain.authenticator",
            "gateway.pipeline.verified:Verified.find",
        ),
    ),
    Stage("find the tenant", ("gateway.decision:Decider._identify", "gateway.decision:_Sight.basis")),
    Stage("guards", ("gateway.pipeline.chain:Chain.check",)),
    Stage("demands", ("gateway.pipeline.chain:Chain.demands",)),
    Stage("take what is demanded (ledger)", ("gateway.ledger.ledger:Ledger.take",)),
    Stage(REST, ("gateway.decision",)),
    Stage("headers of limits", ("gateway.pipeline.limits:limit_headers",)),
    Stage("identity token", ("gateway.forward.identity",)),
    Stage("headers for the upstream", ("gateway.forward.headers:outbound",)),
    Stage("upstream's head and connection", ("gateway.forward.exchange", "gateway.forward.pool")),
    Stage(
        "read the response",
        (
            "gateway.forward.response",
            "gateway.forward.response_head",
            "gateway.forward.connection:UpstreamConnection.data_received",
        ),
    ),
    Stage(
        "head of the answer",
        (
            "gateway.edge.answer",
            "gateway.edge.outgoing",
            "gateway.forward.headers:inbound",
            "gateway.forward.response_head:ResponseHead.fields",
            "gateway.forward.response_head:ResponseHead.names",
            "gateway.forward.response_head:ResponseHead.rendered",
        ),
    ),
    Stage("count", ("gateway.ledger.ledger:Ledger.count",)),
    Stage("settle", ("gateway.ledger.ledger:Ledger.settle_soon", "gateway.pipeline.limits:overruns")),
    Stage("metrics", ("gateway.telemetry.metrics", "gateway.telemetry.tally")),
    Stage("line of log", ("gateway.telemetry.access", "gateway.telemetry.redaction")),
    Stage(
        CARRYING,
        (
            "gateway.express",
            "gateway.transaction",
            "gateway.edge.connection",
            "gateway.edge.pipe",
            "gateway.edge.observe",
        ),
    ),
    Stage(OURSELVES, ("bench.profiling.transports", "bench.profiling.batches")),
)

_BY_PLACE = {place: number for number, stage in enumerate(STAGES) for place in stage.places}
_ROOT = Path(__file__).parents[2]


@cache
def stage_of(code: CodeType) -> int | None:
    """The number of the stage that a function belongs to by its own place; None where it belongs to that of its caller."""
    file = Path(code.co_filename)
    if not file.is_relative_to(_ROOT):
        return None
    module = ".".join(file.relative_to(_ROOT).with_suffix("").parts)
    return _BY_PLACE.get(f"{module}:{code.co_qualname}", _BY_PLACE.get(module))
