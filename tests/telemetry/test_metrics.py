from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.telemetry.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Values by name and labels, as a scraper reads them."""
    body, _ = metrics.exposition("")
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "le")): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def test_a_request_is_counted_by_route_method_class_of_status_and_decision():
    metrics = Metrics()
    metrics.request("users", "GET", 200, "OK", "acme", 0.25)
    metrics.request("users", "GET", 204, "OK", "acme", 0.25)
    metrics.request("users", "POST", 429, "RATE_LIMITED", "globex", 0.25)
    found = samples(metrics)
    assert found["tenantgate_requests_total", "OK", "GET", "users", "2xx"] == 2
    assert found["tenantgate_requests_total", "RATE_LIMITED", "POST", "users", "4xx"] == 1
    assert found["tenantgate_request_duration_seconds_count", "users"] == 3
    assert found["tenantgate_request_duration_seconds_sum", "users"] == 0.75
    assert found["tenantgate_tenant_requests_total", "2xx", "acme"] == 2
    assert found["tenantgate_tenant_requests_total", "4xx", "globex"] == 1


def test_a_request_without_route_or_tenant_is_counted_all_the_same():
    metrics = Metrics()
    metrics.request(None, "GET", 404, "ROUTE_NOT_FOUND", None, 0.01)
    found = samples(metrics)
    assert found["tenantgate_requests_total", "ROUTE_NOT_FOUND", "GET", "_none", "4xx"] == 1
    assert not [key for key in found if key[0] == "tenantgate_tenant_requests_total"]


def test_ten_thousand_tenants_get_no_more_labels_than_there_is_room_for():
    metrics = Metrics(tenants=3)
    for number in range(10_000):
        metrics.request("users", "GET", 200, "OK", f"tenant-{number}", 0.01)
    metrics.request("users", "GET", 200, "OK", "tenant-1", 0.01)
    counts = {key[2]: value for key, value in samples(metrics).items() if key[0] == "tenantgate_tenant_requests_total"}
    assert counts == {"tenant-0": 1, "tenant-1": 2, "tenant-2": 1, "_other": 9_997}


def test_a_tenant_called_other_is_not_taken_for_the_rest():
    metrics = Metrics(tenants=1)
    metrics.request("users", "GET", 200, "OK", "other", 0.01)
    metrics.request("users", "GET", 200, "OK", "acme", 0.01)
    found = samples(metrics)
    assert found["tenantgate_tenant_requests_total", "2xx", "other"] == 1
    assert found["tenantgate_tenant_requests_total", "2xx", "_other"] == 1


def test_methods_and_statuses_from_outside_make_no_new_labels():
    metrics = Metrics()
    for number in range(50):
        metrics.request("users", f"BREW{number}", 900 + number, "OK", None, 0.01)
    assert samples(metrics)["tenantgate_requests_total", "OK", "OTHER", "users", "other"] == 50


def test_calls_of_the_store_are_timed_and_their_failures_counted():
    metrics = Metrics()
    metrics.store_call("admit", 0.5)
    metrics.store_failure("admit")
    found = samples(metrics)
    assert found["tenantgate_store_call_duration_seconds_sum", "admit"] == 0.5
    assert found["tenantgate_store_failures_total", "admit"] == 1


def test_an_upstreams_answers_are_counted_and_its_phases_timed():
    metrics = Metrics()
    metrics.upstream("clinic", 200, connect=0.5, first_byte=1.5)
    metrics.upstream("clinic", 503, first_byte=0.5)
    metrics.upstream("clinic", None)
    found = samples(metrics)
    assert found["tenantgate_upstream_responses_total", "2xx", "clinic"] == 1
    assert found["tenantgate_upstream_responses_total", "5xx", "clinic"] == 1
    assert found["tenantgate_upstream_responses_total", "none", "clinic"] == 1
    assert found["tenantgate_upstream_duration_seconds_count", "connect", "clinic"] == 1
    assert found["tenantgate_upstream_duration_seconds_sum", "first_byte", "clinic"] == 2.0


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("", "text/plain", parse_text),
        ("*/*", "text/plain", parse_text),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", parse_openmetrics),
    ],
)
def test_the_scraper_chooses_the_format(accept, content_type, parse):
    metrics = Metrics()
    metrics.request("users", "GET", 200, "OK", "acme", 0.01)
    body, told = metrics.exposition(accept)
    assert told.startswith(content_type)
    assert "tenantgate_requests" in {family.name for family in parse(body.decode())}


def test_two_sets_of_metrics_know_nothing_of_each_other():
    one, other = Metrics(), Metrics()
    one.store_failure("admit")
    assert ("tenantgate_store_failures_total", "admit") not in samples(other)
