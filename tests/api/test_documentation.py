"""docs/operator-api.md describes the calls and the fields that there are."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.api.operator.catalogue import operator_endpoints
from gateway.api.platform.catalogue import platform_groups
from tests.api.samples import Operator, parts_of
from tests.registry.samples import Registry

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLATFORM_PAGE = ((DOCS / name).read_text() for name in ("operator-api.md", "platform-api.md"))


def test_every_call_is_described(registry: Registry) -> None:
    served = {(endpoint.method, endpoint.path) for endpoint in operator_endpoints(parts_of(registry))}
    described = set(re.findall(r"^### .*`(GET|POST) /api/v1(/[a-z/-]+)", PAGE, re.MULTILINE))
    assert described == served


def test_every_call_of_the_platforms_api_is_described(registry: Registry) -> None:
    told = {"billing_plan": "/api/v1/billing/plan", "jwks": "/.well-known/jwks.json"}
    served = {
        (endpoint.method, told.get(name, f"/api/v1/{name}") + endpoint.path)
        for name, group in platform_groups(parts_of(registry)).items()
        for endpoint in group
    }
    described = set(re.findall(r"^##+ .*`(GET|POST|PATCH|DELETE) (/[a-z0-9./{}_-]+)`", PLATFORM_PAGE, re.MULTILINE))
    assert described == served


async def test_every_field_of_an_answer_is_described(operator: Operator) -> None:
    assert [name for name in await operator.provision() if f"`{name}`" not in PAGE] == []
