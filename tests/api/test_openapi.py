"""The OpenAPI documents say what is served, and their examples are true."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import Draft202012Validator as Validator
from referencing import Registry as Schemas
from referencing.jsonschema import DRAFT202012

from gateway.api.apis import operator_document, platform_document
from gateway.api.endpoint import Endpoint
from gateway.api.operator.catalogue import operator_endpoints
from gateway.api.platform.catalogue import platform_groups
from gateway.errors import IDEMPOTENCY_KEY_REUSED, PRECONDITION_FAILED
from gateway.settings.schema import Builtin
from tests.api.public import Platform
from tests.api.samples import Operator, parts_of
from tests.registry.samples import Registry

Document = Mapping[str, Any]


@pytest.fixture(params=["operator", "platform"])
def api(request: pytest.FixtureRequest, registry: Registry) -> tuple[Document, list[Endpoint]]:
    """A document, and the endpoints that it is made of."""
    parts = parts_of(registry)
    if request.param == "operator":
        calls = operator_endpoints(parts)
        return operator_document(calls), list(calls)
    groups = platform_groups(parts)
    mounted = {name: (f"/api/v1/{name}/*", group) for name, group in groups.items()}
    return platform_document(mounted), [one for group in groups.values() for one in group]


def within(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for one in value.values():
            yield from within(one)
    elif isinstance(value, list):
        for one in value:
            yield from within(one)


def operations(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def checked(document: Document, schema: Mapping[str, Any]) -> Validator:
    plain = json.loads(json.dumps(document))
    schemas = Schemas().with_resource("urn:api", DRAFT202012.create_resource({"components": plain["components"]}))
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
    return Draft202012Validator(absolute, registry=schemas)


def test_every_endpoint_is_described_once(api: tuple[Document, list[Endpoint]]) -> None:
    document, endpoints = api
    assert document["openapi"] == "3.1.0"
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(endpoint.name for endpoint in endpoints)


def test_every_reference_leads_somewhere(api: tuple[Document, list[Endpoint]]) -> None:
    document, _ = api
    found = {one["$ref"] for one in within(document) if "$ref" in one}
    assert found <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_every_example_is_what_its_schema_says(api: tuple[Document, list[Endpoint]]) -> None:
    document, _ = api
    for _, _, operation in operations(document):
        contents = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (one["content"]["application/json"] for one in contents if "application/json" in one.get("content", {})):
            if "example" in content:
                faults = list(checked(document, content["schema"]).iter_errors(content["example"]))
                assert faults == [], (operation["operationId"], faults[0].message)


def test_an_example_of_a_request_is_taken(api: tuple[Document, list[Endpoint]]) -> None:
    for endpoint in api[1]:
        assert (endpoint.example.body is None) == (endpoint.body.model_fields == {}), endpoint.name
        if endpoint.example.body is not None:
            endpoint.body.model_validate({**endpoint.example.body})
        in_path = {part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")}
        assert in_path <= endpoint.example.parameters.keys() <= endpoint.parameters.model_fields.keys(), endpoint.name


def test_parameters_of_the_path_are_told_from_those_of_the_query(api: tuple[Document, list[Endpoint]]) -> None:
    for path, _, operation in operations(api[0]):
        for parameter in operation["parameters"]:
            assert (parameter["in"] == "path") == (f"{{{parameter['name']}}}" in path)
            assert parameter["in"] != "path" or parameter["required"]


def test_what_may_be_refused_is_said_by_status(api: tuple[Document, list[Endpoint]]) -> None:
    document, endpoints = api
    described = {operation["operationId"]: operation for _, _, operation in operations(document)}
    for endpoint in endpoints:
        headers = {one["name"] for one in described[endpoint.name]["parameters"] if one["in"] == "header"}
        special = {*endpoint.errors}
        keyed = endpoint.method == "POST" and not endpoint.transfer
        special |= {IDEMPOTENCY_KEY_REUSED} if keyed else set()
        special |= set() if endpoint.platform_only is None else {endpoint.platform_only}
        for problem in special:
            assert f"`{problem.code}`" in described[endpoint.name]["responses"][str(problem.status)]["description"]
        assert ("Idempotency-Key" in headers) == keyed
        assert ("If-Match" in headers) == (PRECONDITION_FAILED in endpoint.errors)
        assert PRECONDITION_FAILED not in endpoint.errors or endpoint.tagged, endpoint.name


def test_what_can_be_mounted_is_what_there_is(registry: Registry) -> None:
    assert {*platform_groups(parts_of(registry)), "openapi", "docs"} == set(get_args(Builtin))


async def test_the_operators_document_is_served_without_a_key(operator: Operator) -> None:
    answer = await operator.http.get("/openapi.json", headers={"X-Admin-Key": ""})
    assert answer.status_code == 200
    assert "/api/v1/provision/tenant" in answer.json()["paths"]


async def test_the_public_document_has_the_paths_of_gateway_yaml(platform: Platform) -> None:
    document = (await platform.root.get("/openapi.json")).json()
    assert {"/api/v1/tenants", "/api/v1/tenants/{tenant_id}", "/api/v1/billing/plan"} <= document["paths"].keys()


async def test_what_everybody_may_see_asks_for_no_credential(platform: Platform) -> None:
    document = (await platform.root.get("/openapi.json")).json()
    free = {path for path, _, operation in operations(document) if operation["security"] == []}
    assert free == {"/.well-known/jwks.json", "/openapi.json", "/docs"}


def test_a_body_is_required_where_some_field_of_it_is(api: tuple[Document, list[Endpoint]]) -> None:
    bodies = {endpoint.name: endpoint.body for endpoint in api[1] if not endpoint.transfer}
    for _, _, operation in operations(api[0]):
        if "requestBody" in operation and operation["operationId"] in bodies:
            needed = any(field.is_required() for field in bodies[operation["operationId"]].model_fields.values())
            assert operation["requestBody"]["required"] == needed
