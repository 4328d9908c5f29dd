"""The JSON Schema of gateway.yaml accepts what the gateway accepts, and stands in config/ as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.settings.json_schema import json_schema, schema_text
from gateway.settings.policies import builtin_policies

from .conftest import VALID

COMMITTED = Path(__file__).parents[2] / "config" / "gateway.schema.json"
WRONG = Path(__file__).parent / "wrong"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert COMMITTED.read_text("utf-8") == schema_text(), "run: tenantgate schema > config/gateway.schema.json"


def test_a_right_file_fits(validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(yaml.safe_load(VALID))) == []


@pytest.mark.parametrize(
    "name",
    [
        "bad-name",
        "bad-path",
        "bad-policy-value",
        "bad-rate",
        "boolean-for-number",
        "duration-without-unit",
        "host-with-port",
        "missing-key",
        "missing-policy-key",
        "out-of-range",
        "password-in-target",
        "policy-with-two-names",
        "unknown-algorithm",
        "unknown-builtin",
        "unknown-key",
        "unknown-policy",
        "unknown-policy-key",
        "wrong-type",
        "wrong-version",
    ],
)
def test_editors_mark_faults_of_shape(name: str, validator: Draft202012Validator) -> None:
    assert not validator.is_valid(yaml.safe_load((WRONG / f"{name}.yaml").read_text("utf-8")))


@pytest.mark.parametrize(
    "changed",
    [
        {"listeners": {"public": {"port": "${PORT}", "drain": "${DRAIN:-5s}"}}},
        {"upstreams": {"app": {"targets": ["${APP}", "http://${HOST}:9000"], "max_connections": "${MAX}"}}},
        {"store": {"url": "${file:/run/secrets/store}", "data_dir": "${DIR}"}},
        {"plans": {"free": {"rate": "${RATE}", "quotas": {"requests": "${CAP}", "emails": None}}}},
        {"identity": {"issuers": {"main": {"algorithms": ["${ALG}"], "secret": "${SECRET}"}}}},
    ],
)
def test_expressions_may_stand_wherever_a_value_may(changed: dict[str, Any], validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(yaml.safe_load(VALID) | changed)) == []


def test_expressions_may_not_stand_for_names_of_keys(validator: Draft202012Validator) -> None:
    assert not validator.is_valid(yaml.safe_load(VALID) | {"plans": {"${PLAN}": {}}})


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        ("tenant_match", True),
        ({"tenant_match": None}, True),
        ({"rate_limit": {"rate": "${RATE}"}}, True),
        ("acme.hours.BusinessHours", True),
        ({"acme.hours.BusinessHours": {"opens": 8}}, True),
        ("jwt_bearer", False),
        ({"jwt_bearer": None}, False),
        ({"acme.hours.BusinessHours": 8}, False),
        (5, False),
    ],
)
def test_policies_of_the_gateway_and_of_others_are_known(policy: object, fits: bool, validator: Draft202012Validator) -> None:
    data = yaml.safe_load(VALID)
    data["routes"][0]["policies"] = [policy]
    assert validator.is_valid(data) is fits


def test_every_policy_of_the_gateway_stands_in_it_with_its_keys() -> None:
    forms = json_schema()["$defs"]["PolicyEntry"]["anyOf"]  # type: ignore[index]
    assert sorted(forms[2]["properties"]) == builtin_policies()


def test_every_key_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return [name for item in node for name in undescribed(item, path)] if isinstance(node, list) else []
        bare = [f"{path}.{key}" for key, value in node.get("properties", {}).items() if not value.get("description")]
        return bare + [name for key, value in node.items() for name in undescribed(value, f"{path}.{key}")]

    assert undescribed(json_schema(), "") == []
