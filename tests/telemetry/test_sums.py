from __future__ import annotations

import json

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.sums import Sums, dump, load


def told(sums: Sums, *processes: list[Metric]) -> dict[tuple[str, ...], float]:
    body, _ = sums.exposition("", processes)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
    }


def after(count: int, tenant: str = "acme", seconds: float = 0.25) -> list[Metric]:
    """What a process tells after so many requests."""
    metrics = Metrics()
    for _ in range(count):
        metrics.request("users", "GET", 200, "OK", tenant, seconds)
    return metrics.families()


def gauge(name: str, value: float) -> list[Metric]:
    family = Metric(name, "Of a process.", "gauge")
    family.add_sample(name, {}, value)
    return [family]


def test_counters_and_histograms_are_added_up():
    found = told(Sums(), after(2), after(3, seconds=20.0), after(0))
    assert found["tenantgate_requests_total", "OK", "GET", "users", "2xx"] == 5
    assert found["tenantgate_tenant_requests_total", "2xx", "acme"] == 5
    assert found["tenantgate_request_duration_seconds_count", "users"] == 5
    assert found["tenantgate_request_duration_seconds_sum", "users"] == 60.5
    assert found["tenantgate_request_duration_seconds_bucket", "10.0", "users"] == 2
    assert found["tenantgate_request_duration_seconds_bucket", "+Inf", "users"] == 5


def test_what_an_ended_process_had_counted_stays():
    sums = Sums()
    sums.keep(after(2))
    sums.keep(after(3))
    found = told(sums, after(1))
    assert found["tenantgate_requests_total", "OK", "GET", "users", "2xx"] == 6
    assert found["tenantgate_request_duration_seconds_count", "users"] == 6
    assert told(sums)["tenantgate_requests_total", "OK", "GET", "users", "2xx"] == 5


def test_gauges_are_those_of_the_living_and_the_start_is_the_first():
    sums = Sums()
    sums.keep(gauge("process_open_fds", 7.0))
    found = told(sums, gauge("process_open_fds", 10.0), gauge("process_open_fds", 20.0))
    assert found["process_open_fds",] == 30
    found = told(sums, gauge("process_start_time_seconds", 20.0), gauge("process_start_time_seconds", 10.0))
    assert found["process_start_time_seconds",] == 10


def test_however_many_processes_come_and_go_the_labels_of_tenants_stay_few():
    sums = Sums(tenants=3)
    for number in range(10):
        sums.keep(after(1, f"tenant-{number}"))
    sums.keep(after(1, "_other"))
    found = {key[2]: value for key, value in told(sums).items() if key[0] == "tenantgate_tenant_requests_total"}
    assert found == {"tenant-0": 1, "tenant-1": 1, "tenant-2": 1, "_other": 8}


def test_nothing_is_lost_on_the_way_between_two_processes():
    families = after(3)
    assert told(Sums(), load(json.loads(json.dumps(dump(families))))) == told(Sums(), families)


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        ("", "text/plain", parse_text),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", parse_openmetrics),
    ],
    ids=["text", "openmetrics"],
)
def test_the_sum_is_told_in_the_format_that_is_asked_for(accept, kind, parse):
    one, other = after(1), after(2, tenant="globex")
    body, content_type = Sums().exposition(accept, [one, other])
    assert content_type.startswith(kind)
    alone, _ = Sums().exposition(accept, [one])
    assert [family.name for family in parse(body.decode())] == [family.name for family in parse(alone.decode())]
