"""What the file declares, as values that decisions are made with."""

from __future__ import annotations

from pathlib import Path

from gateway.settings.schema import Settings
from gateway.settings.values import grants_of, journal_dir_of, metrics_of, orgs_of, plans_of, stale_for
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan, RateLimit
from gateway.tenancy.scopes import OWN_SCOPES, TENANT_SCOPES

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
    text = VALID.replace(
        "{default_plan: free}\n",
        "{default_plan: free}\n  acme: {default_plan: free, quotas: {sms: 0}, provisioning: handshake}\n",
    )
    assert list(orgs_of(loaded(text)).values()) == [
        Organization("main", default_plan="free"),
        Organization("acme", default_plan="free", handshake=True, quotas={"sms": 0}),
    ]


def test_keys_may_hold_what_routes_ask_for_beside_the_gateways_own_scopes(loaded: Load) -> None:
    assert grants_of(loaded(VALID)).of_kind(bound=True) == TENANT_SCOPES
    asking = VALID.replace(
        "      - tenant_status\n", "      - scopes: {require: [read:charts, read:usage], mode: shadow}\n      - tenant_status\n"
    )
    grants = grants_of(loaded(asking))
    assert grants.of_kind(bound=True) == TENANT_SCOPES | {"read:charts"}
    assert grants.of_kind(bound=False) == OWN_SCOPES | {"read:charts"}


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


def of_routes(settings: Settings) -> list[float | None]:
    return [stale_for(settings, route) for route in settings.routes]


def test_no_route_goes_on_without_the_store_unless_it_is_told_to(loaded: Load) -> None:
    assert of_routes(loaded()) == [None, None]


def test_a_route_says_better_than_the_store_whether_and_how_long_it_goes_on(loaded: Load) -> None:
    everywhere = "store: {on_store_failure: allow, stale_for: 1h}\n" + VALID
    assert of_routes(loaded(everywhere)) == [3600, 3600]
    assert of_routes(loaded(everywhere + "    on_store_failure: deny\n")) == [3600, None]
    assert of_routes(loaded(everywhere + "    stale_for: 10s\n")) == [3600, 10]
    assert of_routes(loaded(VALID + "    on_store_failure: allow\n")) == [None, 300]


def test_journals_lie_beside_the_store(loaded: Load) -> None:
    assert journal_dir_of(loaded()) == Path(".tenantgate/journal")
    assert journal_dir_of(loaded("store: {data_dir: /data/store}\n" + VALID)) == Path("/data/journal")
    assert journal_dir_of(loaded("store: {journal_dir: /journal}\n" + VALID)) == Path("/journal")
