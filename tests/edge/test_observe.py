"""A request that is like others is told of by `watch` as it would be by itself."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import Trail
from gateway.edge.observe import Observer, Sighting
from gateway.forward.exchange import Timings
from gateway.pipeline.chain import Chain
from gateway.pipeline.principal import ANONYMOUS, Principal
from gateway.routing.match import Route
from gateway.telemetry.access import AccessLog
from gateway.telemetry.metrics import Metrics
from gateway.tenancy.tenant import Tenant
from tests.samples import ACME, BOUND_KEY, GLOBEX, JWT, request

OWN_ID = "0193598a7b1c7d4e9f000123456789ab"
ROUTE = Route("users", "/users", Chain.of([], []), upstream="clinic")


class At:
    """Wall time goes on by as much as it is told to at each look; the other clock stands at nought."""

    def __init__(self, start: float = 1_775_001_600.123, step: float = 0.4) -> None:
        self._instant, self._step = start, step

    def now(self) -> float:
        self._instant += self._step
        return self._instant

    def monotonic(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Answered:
    request_id: str = OWN_ID
    status: int = 200
    seconds: float = 0.0032
    upstream_seconds: float = 0.002
    bytes_in: int = 0
    bytes_out: int = 1024


@dataclass(frozen=True)
class Alike:
    """What the requests have in common, and what each has of its own."""

    method: str = "GET"
    path: str = "/users"
    client_ip: str = "203.0.113.7"
    principal: Principal | None = BOUND_KEY
    tenant: Tenant | None = ACME
    answered: Sequence[Answered] = (Answered(),)


@dataclass
class Told:
    """An observer, and what it has told."""

    worker: int | None = None
    stream: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.metrics, clock = Metrics(tenants=1), At()
        self.observer = Observer(self.metrics, AccessLog(self.stream, clock, self.worker), clock)

    def one_by_one(self, alike: Alike) -> Told:
        for one in alike.answered:
            sighting = Sighting(
                started=-one.seconds,
                request_id=one.request_id,
                method=alike.method,
                peer="192.0.2.1",
                trail=Trail(ROUTE, alike.principal, alike.tenant),
                request=request(target=alike.path, client_ip=alike.client_ip),
                upstream_asked=True,
                upstream_status=one.status,
                timings=Timings(first_byte=one.upstream_seconds),
                status=one.status,
                received=one.bytes_in,
                sent=one.bytes_out,
            )
            self.observer.observe(sighting)
        return self

    def together(self, alike: Alike) -> Told:
        watch = self.observer.watch("users", alike.method, alike.path, alike.client_ip, alike.principal, alike.tenant, "clinic")
        for one in alike.answered:
            watch.answered(one.request_id, one.status, one.seconds, one.upstream_seconds, one.bytes_in, one.bytes_out)
        return self

    @property
    def lines(self) -> str:
        return self.stream.getvalue()

    @property
    def counted(self) -> list[str]:
        text = self.metrics.exposition("")[0].decode()
        return sorted(line for line in text.splitlines() if line.startswith("tenantgate_"))


def tell_the_same(*kinds: Alike, worker: int | None = None) -> Told:
    apart, together = Told(worker), Told(worker)
    for alike in kinds:
        apart.one_by_one(alike)
        together.together(alike)
    assert together.lines == apart.lines
    assert together.counted == apart.counted
    return together


# What clients write, JSON has to escape and redaction has to find; not a query, which a path has none of.
PARTS = st.sampled_from(
    ["/users", '/"\\', "/%0a", "/tg_live_0123456789abcdef", "/eyJhbGciOiJI.e30.x", "/:", "/Bearer%20", "/k_"]
)
IDS = st.sampled_from([OWN_ID, "from-a.proxy_1", "tg_live_0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9", "E" * 32, "0" * 8])
SECONDS = st.floats(0, 1000, allow_subnormal=False)
ANSWERED = st.builds(
    Answered,
    request_id=IDS,
    status=st.sampled_from([200, 204, 301, 404, 503, 299, 599, 600, 999]),
    seconds=SECONDS,
    upstream_seconds=SECONDS,
    bytes_in=st.integers(0, 1 << 40),
    bytes_out=st.integers(0, 1 << 40),
)
KINDS = st.builds(
    Alike,
    method=st.sampled_from(["GET", "POST", "PROPFIND", "M" * 50]),
    path=st.lists(PARTS, min_size=1, max_size=3).map("".join),
    client_ip=st.sampled_from(["203.0.113.7", "2001:db8::1", ""]),
    principal=st.sampled_from([None, ANONYMOUS, JWT, BOUND_KEY]),
    tenant=st.sampled_from([None, ACME, GLOBEX]),
    answered=st.lists(ANSWERED, max_size=4),
)


@given(st.lists(KINDS, max_size=4), st.sampled_from([None, 1, 12]))
def test_lines_and_metrics_are_those_of_requests_observed_one_by_one(kinds, worker):
    tell_the_same(*kinds, worker=worker)


@pytest.mark.parametrize("status", [200, 204, 301, 404, 503])
def test_a_request_is_counted_once_in_everything_that_counts_it(status):
    told = tell_the_same(Alike(answered=(Answered(status=status, seconds=0.25, upstream_seconds=0.125),)))
    kind = f"{status // 100}xx"
    assert {
        f'tenantgate_requests_total{{code="OK",method="GET",route="users",status_class="{kind}"}} 1.0',
        f'tenantgate_tenant_requests_total{{status_class="{kind}",tenant="acme"}} 1.0',
        f'tenantgate_upstream_responses_total{{status_class="{kind}",upstream="clinic"}} 1.0',
        'tenantgate_request_duration_seconds_sum{route="users"} 0.25',
        'tenantgate_upstream_duration_seconds_sum{phase="first_byte",upstream="clinic"} 0.125',
    } <= set(told.counted)


def test_the_line_tells_all_that_is_known():
    told = tell_the_same(Alike(answered=(Answered(status=503, bytes_in=7),)), worker=3)
    assert json.loads(told.lines) == {
        "time": "2026-04-01T00:00:00.523+00:00",
        "level": "error",
        "event": "request",
        "worker": 3,
        "request_id": OWN_ID,
        "method": "GET",
        "path": "/users",
        "client_ip": "203.0.113.7",
        "status": 503,
        "code": "OK",
        "duration_ms": 3.2,
        "bytes_in": 7,
        "bytes_out": 1024,
        "upstream_ms": 2.0,
        "route": "users",
        "tenant": "acme",
        "tenant_id": ACME.typeid,
        "auth_method": "api_key",
        "credential_id": "key_1",
        "upstream": "clinic",
    }


def test_nothing_is_counted_of_what_is_watched_for_and_does_not_come():
    told = Told()
    before = told.counted
    told.together(Alike(answered=()))
    assert told.counted == before
    assert told.lines == ""


def test_tenants_beyond_those_with_a_label_stay_among_the_others():
    told = tell_the_same(Alike(), Alike(tenant=GLOBEX, answered=(Answered(), Answered(status=404))), Alike())
    found = [line for line in told.counted if line.startswith("tenantgate_tenant_requests_total")]
    assert found == [
        'tenantgate_tenant_requests_total{status_class="2xx",tenant="_other"} 1.0',
        'tenantgate_tenant_requests_total{status_class="2xx",tenant="acme"} 2.0',
        'tenantgate_tenant_requests_total{status_class="4xx",tenant="_other"} 1.0',
    ]


@pytest.mark.parametrize("secret", ["tg_live_0123456789abcdefghij", "eyJhbGciOiJIUzI1NiJ9.e30", "sk_0123456789abcdef01"])
def test_a_secret_in_a_path_or_in_the_id_of_a_proxy_stays_out_of_the_log(secret):
    told = tell_the_same(Alike(path=f"/users/{secret}/x", answered=(Answered(request_id=secret),)))
    line = json.loads(told.lines)
    assert secret not in told.lines
    assert (line["path"], line["request_id"]) == ("/users/[redacted]/x", "[redacted]")


async def test_what_is_watched_leaves_with_the_other_lines_of_the_turn_in_their_order():
    told = Told()
    told.one_by_one(Alike(answered=(Answered("first-id"),)))
    told.together(Alike(answered=(Answered("second-id"),)))
    told.one_by_one(Alike(answered=(Answered("third-id"),)))
    assert told.lines == ""
    await asyncio.sleep(0)
    assert [json.loads(line)["request_id"] for line in told.lines.splitlines()] == ["first-id", "second-id", "third-id"]
