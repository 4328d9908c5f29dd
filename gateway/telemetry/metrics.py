"""Metrics in Prometheus' format. Every label has a bounded set of values, and none is an id or a secret."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from . import tally

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
TENANTS = 1000
"""So many have a label of their own."""
_OTHER = "_other"
_NO_ROUTE = "_none"
_STORE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_Cells = tuple[list[float], list[float] | None, list[float], tally.Buckets, tally.Buckets]


class Metrics:
    """The metrics of one process.

    Names of routes, upstreams and scripts come from the configuration and the code, so they are few. What comes from outside
    is folded: unknown methods into `OTHER`, tenants beyond the first `tenants` into `_other` (no slug has an underscore).
    """

    def __init__(self, tenants: int = TENANTS) -> None:
        # A second series beside each, which nobody reads. The function is the library's only one without types.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._tenants = TenantLabels(tenants)
        ProcessCollector(registry=self._registry)
        self._requests = self._counter(
            "tenantgate_requests_total",
            "Requests answered, by route, method, class of status and decision (`OK`, or the code of the refusal).",
            ("route", "method", "status_class", "code"),
        )
        self._durations = self._histogram(
            "tenantgate_request_duration_seconds", "From the request's head to the end of its answer.", ("route",), _BUCKETS
        )
        self._tenant_requests = self._counter(
            "tenantgate_tenant_requests_total",
            "Requests answered, by tenant and class of status; tenants beyond the first thousand are `_other`.",
            ("tenant", "status_class"),
        )
        self._shadow_refusals = self._counter(
            "tenantgate_shadow_refusals_total",
            "Requests that were let pass though a policy in shadow would have refused them, by route and code.",
            ("route", "code"),
        )
        self._overruns = self._counter(
            "tenantgate_overrun_units_total",
            "Units that upstreams told of beyond what was held for the request, by route and metric.",
            ("route", "metric"),
        )
        self._store_calls = self._histogram(
            "tenantgate_store_call_duration_seconds", "Calls of the store, by script.", ("script",), _STORE_BUCKETS
        )
        self._store_failures = self._counter(
            "tenantgate_store_failures_total", "Calls of the store that got no answer, by script.", ("script",)
        )
        self._upstream_durations = self._histogram(
            "tenantgate_upstream_duration_seconds",
            "Time until a connection stood (`connect`), and from the request's end to the answer's head (`first_byte`).",
            ("upstream", "phase"),
            _BUCKETS,
        )
        self._upstream_responses = self._counter(
            "tenantgate_upstream_responses_total",
            "Answers of upstreams, by class of status; `none`: the upstream did not answer.",
            ("upstream", "status_class"),
        )
        self._standby_requests = self._counter(
            "tenantgate_standby_requests_total", "Requests admitted while the store could not be reached, by route.", ("route",)
        )
        self._journal_entries = Gauge(
            "tenantgate_journal_entries", "Entries of the journal that the store has not counted yet.", registry=self._registry
        )
        self._journal_refusals = Counter(
            "tenantgate_journal_refusals_total",
            "Requests refused or broken off since the journal took nothing more.",
            registry=self._registry,
        )
        self._webhook_attempts = self._counter(
            "tenantgate_webhook_attempts_total",
            "Attempts to deliver events: `delivered`, `failed` (to be tried again), `dead` (not to be), `lost` (tests).",
            ("outcome",),
        )
        self._worker_restarts = Counter(
            "tenantgate_worker_restarts_total", "Workers that ended and were replaced.", registry=self._registry
        )

    def request(self, route: str | None, method: str, status: int, code: str, tenant: str | None, seconds: float) -> None:
        """A request was answered. `route` is None where none was found; `code` is `OK` or that of the refusal; `tenant` is a
        slug, None where none became known."""
        kind = status // 100
        self._requests.add(_request_labels(route, method, kind, code))
        self._durations.observe((route or _NO_ROUTE,), seconds)
        if tenant is not None:
            self._tenant_requests.add(self._tenant_labels(tenant, kind))

    def answers(self, route: str, method: str, tenant: str | None, upstream: str) -> Answers:
        """For requests that have all of this in common and are admitted."""

        def cells(kind: int) -> _Cells:
            return (
                self._requests.cell(_request_labels(route, method, kind, "OK")),
                None if tenant is None else self._tenant_requests.cell(self._tenant_labels(tenant, kind)),
                self._upstream_responses.cell((upstream, _status_class(kind))),
                self._durations.cell((route,)),
                self._upstream_durations.cell((upstream, "first_byte")),
            )

        return Answers(cells)

    def shadow_refusal(self, route: str | None, code: str) -> None:
        """A request passed that a policy in shadow would have refused with `code`."""
        self._shadow_refusals.add((route or _NO_ROUTE, code))

    def overrun(self, route: str | None, metric: str, units: int) -> None:
        """An upstream used `units` more of `metric` than were held for the request."""
        self._overruns.add((route or _NO_ROUTE, metric), units)

    def store_call(self, script: str, seconds: float) -> None:
        """A call of the store has ended, well or badly."""
        self._store_calls.observe((script,), seconds)

    def store_failure(self, script: str) -> None:
        """A call of the store got no answer in time, or a refusal to answer."""
        self._store_failures.add((script,))

    def upstream(
        self, upstream: str, status: int | None, connect: float | None = None, first_byte: float | None = None
    ) -> None:
        """An upstream answered with `status`, or (None) failed to. Durations in seconds, None where the phase did not take
        place: a kept connection needs no connecting."""
        self._upstream_responses.add((upstream, "none" if status is None else _status_class(status // 100)))
        if connect is not None:
            self._upstream_durations.observe((upstream, "connect"), connect)
        if first_byte is not None:
            self._upstream_durations.observe((upstream, "first_byte"), first_byte)

    def add(self, collector: Collector) -> None:
        """What is only looked up when somebody asks."""
        self._registry.register(collector)

    def standby_request(self, route: str) -> None:
        """A request was admitted while the store could not be reached."""
        self._standby_requests.add((route,))

    def journal(self, waiting: Callable[[], int]) -> None:
        """There is a journal; `waiting` tells how many of its entries are not counted yet."""
        self._journal_entries.set_function(waiting)

    def journal_refusal(self) -> None:
        """The journal has taken nothing more of a request."""
        self._journal_refusals.inc()

    def webhook_attempt(self, outcome: str) -> None:
        """An attempt to deliver an event has ended."""
        self._webhook_attempts.add((outcome,))

    def worker_restart(self) -> None:
        """A worker has ended, and another takes its place."""
        self._worker_restarts.inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Body and content type of `/metrics`, in the text or OpenMetrics format as the scraper's `Accept` asks."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def families(self) -> list[Metric]:
        """All of them with their values, to be added to those of other processes."""
        return list(self._registry.collect())

    def _tenant_labels(self, tenant: str, kind: int) -> tally.Labels:
        return self._tenants.label(tenant), _status_class(kind)

    def _counter(self, name: str, meaning: str, labels: tuple[str, ...]) -> tally.Counter:
        counter = tally.Counter(name, meaning, labels)
        self._registry.register(counter)
        return counter

    def _histogram(self, name: str, meaning: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> tally.Histogram:
        histogram = tally.Histogram(name, meaning, labels, bounds)
        self._registry.register(histogram)
        return histogram


class TenantLabels:
    """Labels of the first `limit` tenants; `_other` for the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: set[str] = {_OTHER}

    def label(self, tenant: str) -> str:
        if tenant not in self._named:
            if len(self._named) > self._limit:
                return _OTHER
            self._named.add(tenant)
        return tenant


class Answers:
    """Counts answered requests that differ in status and durations only: as `Metrics.request` and `Metrics.upstream` would."""

    def __init__(self, cells: Callable[[int], _Cells]) -> None:
        self._find = cells
        # By class of status. A cell that nothing was counted in would be told of as well, so they are found when one comes.
        self._cells: dict[int, _Cells] = {}

    def add(self, status: int, seconds: float, first_byte: float) -> None:
        """`seconds` from the request's head to the end of its answer, `first_byte` from its end to the answer's head."""
        cells = self._cells.get(status // 100)
        if cells is None:
            cells = self._cells[status // 100] = self._find(status // 100)
        requests, of_tenant, of_upstream, durations, upstream_durations = cells
        requests[0] += 1
        if of_tenant is not None:
            of_tenant[0] += 1
        of_upstream[0] += 1
        durations.observe(seconds)
        upstream_durations.observe(first_byte)


def _request_labels(route: str | None, method: str, kind: int, code: str) -> tally.Labels:
    return route or _NO_ROUTE, method if method in _METHODS else "OTHER", _status_class(kind), code


def _status_class(kind: int) -> str:
    return _CLASSES.get(kind, "other")
