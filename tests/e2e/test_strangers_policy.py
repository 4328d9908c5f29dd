"""Policies of somebody else, in a package of their own, work by their dotted path as the built-in ones do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from .conftest import CONFIG
from .recorder import Recorder
from .stack import ADMIN_KEY, GatewayProcess, environment, provision

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "policies.md").read_text()

COUNTRIES = '''
"""Keeps callers of some countries out, as the load balancer in front tells them."""

from gateway.errors import Owner, Problem, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, Setup

BLOCKED = Problem("COUNTRY_BLOCKED", 451, Owner.CLIENT, "Not served in your country", "Ask for an exemption.")


class Countries:
    phase = Phase.ENTITLEMENT

    class Config(PolicyConfig):
        blocked: frozenset[str]
        """Country codes of ISO 3166-1."""
        exempt: tuple[str, ...] = ()
        """Slugs of tenants that are served everywhere."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self.config = config

    def check(self, call: Call) -> None:
        country = call.request.header("cf-ipcountry") or "unknown"
        tenant = call.require_customer().tenant.slug
        if country in self.config.blocked and tenant not in self.config.exempt:
            raise Refused(BLOCKED, f"The country is {country}.")
'''
ROUTES = """
  - name: always
    path: /always/*
    upstream: recorder
    policies: [public, acme.hours.BusinessHours: {opens: 0, closes: 24}]
  - name: never
    path: /never/*
    upstream: recorder
    policies: [public, acme.hours.BusinessHours: {opens: OPENS, closes: CLOSES}]
  - name: export
    path: /export/*
    upstream: recorder
    policies:
      - jwt_bearer: {issuers: [tests]}
      - tenant_match
      - tenant_status
      - acme.countries.Countries: {blocked: [XA, XB], exempt: [exempted]}
      - tenant_headers
"""


def block(language: str) -> str:
    """The page's first block of code in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@dataclass(frozen=True)
class Stranger:
    """A folder on PYTHONPATH with the package `acme`, and a gateway.yaml that names its policies."""

    folder: Path
    config: Path
    environ: dict[str, str]

    def check(self, routes: str = "", *arguments: str) -> subprocess.CompletedProcess[str]:
        """`tenantgate check`, with more routes at the end of the file."""
        other = self.folder / "other.yaml"
        other.write_text(CONFIG.read_text() + routes)
        return subprocess.run(
            [sys.executable, "-m", "gateway", "check", "-c", str(other), *arguments],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("stranger")
    package, config = folder / "acme", folder / "gateway.yaml"
    package.mkdir()
    (package / "hours.py").write_text(block("python"))
    (package / "countries.py").write_text(COUNTRIES)
    closed_at = (time.gmtime().tm_hour + 12) % 24  # half a day from now
    hours = ROUTES.replace("OPENS", str(closed_at)).replace("CLOSES", str(closed_at + 1))
    config.write_text(CONFIG.read_text() + hours)
    values = {"TESTS_STORE_URL": "embedded", "TESTS_PREFIX": "x", "TESTS_UPSTREAM": "http://127.0.0.1:1"}
    return Stranger(folder, config, {**environment(), **values, "TESTS_ADMIN_KEY": ADMIN_KEY, "PYTHONPATH": str(folder)})


@pytest.fixture(scope="module")
def gateway(launch: Callable[..., GatewayProcess], upstream: Recorder, stranger: Stranger) -> GatewayProcess:
    return launch(upstream.url, stranger.environ, f"e2e-{uuid4().hex[:8]}", stranger.config)


def test_the_policy_of_the_page_lets_pass_and_refuses(gateway: GatewayProcess, upstream: Recorder) -> None:
    name = uuid4().hex
    assert gateway.public.get(f"/always/{name}").status_code == 200
    assert len(upstream.at(f"/always/{name}")) == 1
    refused = gateway.public.get(f"/never/{name}")
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["title"]) == (403, "CLOSED", "Closed")
    assert refused.headers["content-type"] == "application/problem+json"
    assert problem["detail"].startswith("Open from ")
    assert problem["detail"].endswith("Come back within business hours.")
    assert problem["request_id"] == refused.headers["x-request-id"]
    assert upstream.at(f"/never/{name}") == []


def test_a_guard_with_settings_knows_request_and_tenant(gateway: GatewayProcess, upstream: Recorder) -> None:
    customer, exempted = provision(gateway, f"t-{uuid4().hex[:12]}"), provision(gateway, "exempted")
    statuses = [
        gateway.public.get(f"/export/{country}", headers={**one.bearer(), "CF-IPCountry": country}).status_code
        for one in (customer, exempted)
        for country in ("XA", "XC")
    ]
    assert statuses == [451, 200, 200, 200]
    assert [seen.header("X-Tenant") for seen in upstream.at("/export/XA")] == [exempted.slug]


def test_its_codes_are_seen_in_log_and_metrics_as_others_are(gateway: GatewayProcess) -> None:
    name = uuid4().hex
    gateway.public.get(f"/never/{name}")

    def lines() -> list[dict[str, Any]]:
        return [line for line in gateway.log if line.get("path") == f"/never/{name}"]

    # It is written when the answer has been sent.
    deadline = time.monotonic() + 10
    while not lines() and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = lines()
    assert (line["status"], line["code"], line["route"]) == (403, "CLOSED", "never")
    metrics = gateway.admin.get(f"{gateway.admin_url}/metrics").text
    assert re.search(r'^tenantgate_requests_total\{.*code="CLOSED".*\} [1-9]', metrics, re.MULTILINE)


def test_nobody_passes_a_stranger_s_guard_by_a_credential_that_is_missing(gateway: GatewayProcess) -> None:
    assert gateway.public.get("/export/x", headers={"CF-IPCountry": "XC"}).status_code == 401


def route(policy: str, name: str = "stall") -> str:
    return f"  - name: {name}\n    path: /{name}/*\n    upstream: recorder\n    policies:\n      - public\n      - {policy}\n"


def test_the_entries_of_the_page_are_valid_as_they_stand_there(stranger: Stranger) -> None:
    entries = yaml.safe_load(block("yaml"))["policies"]
    assert entries[0] == "public"
    (policy,) = entries[1]
    checked = stranger.check(route(f"{policy}: {json.dumps(entries[1][policy])}"))
    assert checked.returncode == 0, checked.stdout


WRONG = {
    "acme.hours.BusinessHours: {opnes: 8}": ("opnes", 'found the unknown key "opnes"', "Did you mean opens?"),
    "acme.hours.BusinessHours: {opens: 24}": ("24", "found 24", "23"),
    "acme.countries.Countries": ("acme", "blocked"),
    "acme.hour.BusinessHours": ("acme", "acme.hour"),
    "acme.hours.BusinessHour": ("acme", "BusinessHour"),
}
"""Entries, each with where its fault begins and what is said of it."""


def test_check_names_line_and_column_of_every_fault(stranger: Stranger) -> None:
    routes = [route(policy, f"stall-{number}") for number, policy in enumerate(WRONG)]
    checked = stranger.check("".join(routes))
    assert checked.returncode == 1
    faults = checked.stdout.splitlines()
    assert len(faults) == len(WRONG), checked.stdout
    line = CONFIG.read_text().count("\n")
    for fault, one, (at, *said) in zip(faults, routes, WRONG.values(), strict=True):
        line += one.count("\n")
        column = one.splitlines()[-1].index(at) + 1
        assert fault.startswith(f"{stranger.folder / 'other.yaml'}:{line}:{column}: "), fault
        assert [part for part in said if part not in fault] == [], fault


def test_a_stranger_s_guard_cannot_stand_before_who_calls_is_known(stranger: Stranger) -> None:
    routes = "  - {name: stall, path: /stall/*, upstream: recorder, policies: [acme.hours.BusinessHours, public]}\n"
    checked = stranger.check(routes)
    assert checked.returncode == 1
    assert re.search(r"other\.yaml:\d+:\d+: found .*expected ", checked.stdout)
