"""How the targets of upstreams stand, as metrics. Targets are counted, never named: addresses are no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.forward.pool import TargetStatus

_STATES = ("up", "ejected", "down")


class UpstreamMetrics(Collector):
    """`health` tells of all targets of all upstreams."""

    def __init__(self, health: Callable[[], Iterable[TargetStatus]]) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        statuses = list(self._health())
        names = list(dict.fromkeys(status.upstream for status in statuses))
        targets = Counter[tuple[str, str]]((status.upstream, status.state) for status in statuses)
        outstanding, idle, ejections = Counter[str](), Counter[str](), Counter[str]()
        for status in statuses:
            outstanding[status.upstream] += status.outstanding
            idle[status.upstream] += status.idle
            ejections[status.upstream] += status.ejections
        states = GaugeMetricFamily(
            "tenantgate_upstream_targets",
            "Targets by state: `up`, `ejected` for failures, `down` by checks.",
            labels=("upstream", "state"),
        )
        requests = GaugeMetricFamily(
            "tenantgate_upstream_outstanding", "Requests that run or wait at an upstream, and tunnels.", labels=("upstream",)
        )
        connections = GaugeMetricFamily(
            "tenantgate_upstream_idle_connections", "Connections that wait for their next request.", labels=("upstream",)
        )
        left_out = CounterMetricFamily(
            "tenantgate_upstream_ejections_total", "How often targets were left out for their failures.", labels=("upstream",)
        )
        for name in names:
            for state in _STATES:
                states.add_metric((name, state), targets[name, state])
            requests.add_metric((name,), outstanding[name])
            connections.add_metric((name,), idle[name])
            left_out.add_metric((name,), ejections[name])
        yield from (states, requests, connections, left_out)
