"""The page about metrics and logs holds every one of them, and no other."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import RATE_LIMITED
from gateway.forward.pool import TargetStatus
from gateway.telemetry.access import AccessEntry, AccessLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.upstreams import UpstreamMetrics
from tests.samples import ACME, BOUND_KEY

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


class At:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


def test_the_page_lists_every_metric_with_its_kind_and_labels():
    metrics = Metrics()
    metrics.request("r", "GET", 200, "OK", "t", 0.1)
    metrics.shadow_refusal("r", "RATE_LIMITED")
    metrics.overrun("r", "tokens", 5)
    metrics.store_call("s", 0.1)
    metrics.store_failure("s")
    metrics.standby_request("r")
    metrics.webhook_attempt("delivered")
    metrics.upstream("u", 200, 0.1, 0.1)
    metrics.add(UpstreamMetrics(lambda: [TargetStatus("u", "a:80", "up", 1, 1, 0)]))
    told = {}
    for family in text_string_to_metric_families(metrics.exposition("")[0].decode()):
        if family.name.startswith("tenantgate_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            told[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    rows = re.findall(r"^\| `(tenantgate_\w+)` \| (\w+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == told


def test_the_page_lists_every_key_of_a_request_s_line():
    stream = io.StringIO()
    entry = AccessEntry(
        "r",
        "GET",
        "/",
        "::1",
        429,
        0.1,
        "r",
        RATE_LIMITED,
        BOUND_KEY,
        ACME,
        "u",
        0.1,
        shadowed=(RATE_LIMITED,),
        overruns={"tokens": 5},
    )
    AccessLog(stream, At(), worker=1).write(entry)
    _, _, section = PAGE.partition("| key | meaning |")
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == json.loads(stream.getvalue()).keys()
