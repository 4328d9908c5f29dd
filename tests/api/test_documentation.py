"""docs/operator-api.md describes the calls and the fields that there are."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.api.operator.catalogue import operator_endpoints
from tests.api.samples import Operator, parts_of
from tests.registry.samples import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "operator-api.md").read_text()


def test_every_call_is_described(registry: Registry) -> None:
    served = {(endpoint.method, endpoint.path) for endpoint in operator_endpoints(parts_of(registry))}
    described = set(re.findall(r"^### .*`(GET|POST) /api/v1(/[a-z/-]+)", PAGE, re.MULTILINE))
    assert described == served


async def test_every_field_of_an_answer_is_described(operator: Operator) -> None:
    assert [name for name in await operator.provision() if f"`{name}`" not in PAGE] == []
