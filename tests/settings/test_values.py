"""What the file declares, as values that decisions are made with."""

from __future__ import annotations

from gateway.settings.values import metrics_of, orgs_of, plans_of
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan, RateLimit

from .conftest import VALID, Load


def test_plans_become_plans(loaded: Load) -> None:
    text = VALID.replace("plans:\n", "plans:\n  bare: {}\n  burst: {rate: 60/minute, burst: 5}\n")
    plans = plans_of(loaded(text))
    assert plans["bare"] == Plan("bare")
    assert plans["burst"].rate == RateLimit(60, 60, 5)
    assert plans["free"] == Plan(
        "free", RateLimit(100, 1, 100), {"requests": 1000, "emails": None}, features=frozenset({"reports"})
    )


def test_organizations_keep_the_order_of_the_file(loaded: Load) -> None:
    text = VALID.replace("{default_plan: free}\n", "{default_plan: free}\n  acme: {default_plan: free, quotas: {sms: 0}}\n")
    assert list(orgs_of(loaded(text)).values()) == [
        Organization("main", default_plan="free"),
        Organization("acme", default_plan="free", quotas={"sms": 0}),
    ]


def test_metrics_have_the_caps_that_the_apis_name(loaded: Load) -> None:
    metrics = metrics_of(loaded(VALID + "metrics: {pages: {}, voice-minutes: {}, storage: {cap: storage_cap}}\n"))
    assert {name: metric.cap for name, metric in metrics.items()} == {
        "requests": "monthly_request_cap",
        "emails": "monthly_email_cap",
        "sms": "monthly_sms_cap",
        "messages": "monthly_message_cap",
        "tokens": "monthly_token_cap",
        "pages": "monthly_page_cap",
        "voice-minutes": "monthly_voice_minute_cap",
        "storage": "storage_cap",
    }
    assert [name for name, metric in metrics.items() if metric.lazy] == ["requests"]
    assert metrics["pages"] == Metric("pages", "monthly_page_cap")
