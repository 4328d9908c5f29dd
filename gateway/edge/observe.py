"""What is told about a request when its answer has ended: one log line and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.decision import Trail
from gateway.errors import CLIENT_CLOSED_REQUEST, UPSTREAM_CLOSED, Problem, Refused
from gateway.forward.exchange import Timings
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.telemetry.access import AccessEntry, AccessLog, Subject
from gateway.telemetry.metrics import Answers, Metrics
from gateway.tenancy.tenant import Tenant


@dataclass(slots=True)
class Sighting:
    """What is seen of one request while it is served. `status` is what the client was answered, 0 where nothing was; `received`
    and `sent` are bytes of the bodies."""

    started: float
    request_id: str
    method: str
    peer: str
    trail: Trail = field(default_factory=Trail)
    request: InboundRequest | None = None
    refused: Refused | None = None
    client_gone: bool = False
    aborted: bool = False
    upstream_asked: bool = False
    not_sent: bool = False
    upstream_status: int | None = None
    usage_units: int | None = None
    overruns: Mapping[str, int] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    status: int = 0
    received: int = 0
    sent: int = 0

    @property
    def problem(self) -> Problem | None:
        if self.refused is not None:
            return self.refused.problem
        if self.aborted:
            return UPSTREAM_CLOSED
        return CLIENT_CLOSED_REQUEST if self.client_gone else None


class Watch:
    """Tells of requests that are alike, and were admitted, delivered and answered by their upstream over a connection that
    stood already, with nothing odd about them. What it tells is what `Observer.observe` would."""

    __slots__ = ("_answers", "_log", "_subject")

    def __init__(self, answers: Answers, log: AccessLog, subject: Subject) -> None:
        self._answers = answers
        self._log = log
        self._subject = subject

    def answered(
        self, request_id: str, status: int, seconds: float, upstream_seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """`seconds` from the request's head to the end of its answer, `upstream_seconds` from its end to the upstream's answer;
        the bytes are of the bodies."""
        self._answers.add(status, seconds, upstream_seconds)
        self._log.add(self._subject, request_id, status, seconds, upstream_seconds, bytes_in, bytes_out)


class Observer:
    def __init__(self, metrics: Metrics, log: AccessLog, clock: Clock) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock

    def begin(self, request_id: str, method: str, peer: str) -> Sighting:
        return Sighting(self._clock.monotonic(), request_id, method, peer)

    def watch(
        self,
        route: str,
        method: str,
        path: str,
        client_ip: str,
        principal: Principal | None,
        tenant: Tenant | None,
        upstream: str,
    ) -> Watch:
        """For requests that have all of this in common. `path` is as in `AccessEntry`."""
        answers = self._metrics.answers(route, method, None if tenant is None else tenant.slug, upstream)
        return Watch(answers, self._log, self._log.subject(method, path, client_ip, route, principal, tenant, upstream))

    def observe(self, sighting: Sighting) -> None:
        trail, problem, request = sighting.trail, sighting.problem, sighting.request
        seconds = self._clock.monotonic() - sighting.started
        status = sighting.status or (problem.status if problem is not None else 0)
        route = None if trail.route is None else trail.route.name
        upstream = None if trail.route is None or not sighting.upstream_asked else trail.route.upstream
        slug = None if trail.tenant is None else trail.tenant.slug
        self._metrics.request(route, sighting.method, status, "OK" if problem is None else problem.code, slug, seconds)
        for shadowed in trail.shadowed:
            self._metrics.shadow_refusal(route, shadowed.code)
        for metric, units in sighting.overruns.items():
            self._metrics.overrun(route, metric, units)
        if upstream is not None:
            self._metrics.upstream(upstream, sighting.upstream_status, sighting.timings.connect, sighting.timings.first_byte)
        self._log.write(
            AccessEntry(
                request_id=sighting.request_id,
                method=sighting.method,
                path="" if request is None else request.path,
                client_ip=sighting.peer if request is None else request.client_ip,
                status=status,
                seconds=seconds,
                route=route,
                problem=problem,
                principal=trail.principal,
                tenant=trail.tenant,
                upstream=upstream,
                upstream_seconds=sighting.timings.first_byte,
                bytes_in=sighting.received,
                bytes_out=sighting.sent,
                shadowed=trail.shadowed,
                overruns=sighting.overruns,
            )
        )
