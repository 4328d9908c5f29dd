"""docs/operator-api.md describes the calls and the fields that there are."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import Route

from gateway.api.operator import operator_app
from gateway.ledger.resources import Resources
from tests.api.samples import METRICS, PLANS, Operator
from tests.registry.samples import ORGS, Registry

PAGE = (Path(__file__).parents[2] / "docs" / "operator-api.md").read_text()


def test_every_call_is_described(registry: Registry) -> None:
    app = operator_app(registry.tenants, Resources(registry.store, []), {}, PLANS, ORGS, METRICS, registry.audit)
    served = {(method, route.path) for route in app.routes if isinstance(route, Route) for method in route.methods or ()}
    described = set(re.findall(r"^### .*`(GET|POST) /api/v1(/[a-z/-]+)", PAGE, re.MULTILINE))
    assert described == {call for call in served if call[0] != "HEAD"}


async def test_every_field_of_an_answer_is_described(operator: Operator) -> None:
    assert [name for name in await operator.provision() if f"`{name}`" not in PAGE] == []
