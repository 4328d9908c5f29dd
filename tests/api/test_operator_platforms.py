"""The operator API about platforms: organizations, plans, root keys, and tokens that are revoked."""

from __future__ import annotations

import httpx
import pytest

from gateway.pipeline.lookup import OwnerOfKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.org import Organization
from gateway.tenancy.scopes import OWN_SCOPES
from tests.api.samples import Operator


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_organizations_and_plans_are_shown_as_configured(operator: Operator) -> None:
    await operator.provision()
    orgs = (await operator.get("fetch/orgs")).json()["data"]["orgs"]
    assert [(org["org"], org["default_plan"], org["tenants"], org["root_keys"]) for org in orgs] == [
        ("platform", "free", 1, 0),
        ("other", "free", 0, 0),
    ]
    assert (await operator.get("fetch/org", org="other")).json()["data"] == orgs[1]
    assert (await operator.get("fetch/org")).json()["data"] == orgs[0]
    assert code(await operator.get("fetch/org", org="none")) == (422, "INVALID_BODY")
    free, pro = (await operator.get("fetch/plans")).json()["data"]["plans"]
    assert (free["plan"], free["rate_limit"], free["monthly_message_cap"], free["resources"]) == (
        "free",
        "5/second",
        100,
        {"users": 5},
    )
    assert (pro["plan"], pro["monthly_message_cap"], pro["features"]) == ("pro", None, ["analytics"])


async def test_a_root_key_is_minted_rolled_and_revoked(operator: Operator) -> None:
    first = await operator.post("mint/root-key", {"name": "backend"}, org="other")
    key = first.json()["data"]
    assert (first.status_code, key["scopes"], key["tenant_id"], key["created_by"]) == (201, sorted(OWN_SCOPES), None, "ops")
    record = await operator.registry.records.resolve(OwnerOfKey(digest_of(key["key"])))
    assert isinstance(record, Organization)
    assert record.id == "other"
    rolled = (await operator.post("roll/root-key", {"overlap_seconds": 60}, org="other", key_id=key["id"])).json()["data"]
    assert (await operator.post("revoke/root-key", org="other", key_id=rolled["id"])).status_code == 200
    shown = (await operator.get("fetch/root-keys", org="other")).json()["data"]["keys"]
    assert [one["id"] for one in shown] == [rolled["id"], key["id"]]
    assert shown[0]["revoked_at"] is not None
    assert shown[1]["expires_at"] is not None
    assert not any("key" in one for one in shown)
    assert code(await operator.post("roll/root-key", org="other", key_id=rolled["id"])) == (409, "KEY_ENDED")
    assert (await operator.get("fetch/org", org="other")).json()["data"]["root_keys"] == 1


async def test_a_root_key_belongs_to_one_organization(operator: Operator) -> None:
    key = (await operator.post("mint/root-key", {"name": "backend"})).json()["data"]
    for call in ("roll/root-key", "revoke/root-key"):
        assert code(await operator.post(call, org="other", key_id=key["id"])) == (404, "NOT_FOUND")
        assert code(await operator.post(call, key_id=typeid("key", new_id()))) == (404, "NOT_FOUND")
    assert (await operator.get("fetch/root-keys", org="other")).json()["data"] == {"org": "other", "keys": []}


@pytest.mark.parametrize(
    "body", [{}, {"name": "x", "scopes": ["read:all"]}, {"name": "x", "tenant_id": "t"}, {"name": "x", "expires_at": "2020"}]
)
async def test_what_is_no_root_key_is_refused(operator: Operator, body: dict[str, object]) -> None:
    assert code(await operator.post("mint/root-key", body)) == (422, "INVALID_BODY")


async def test_tokens_are_revoked_by_id_by_subject_and_all(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answers = [
        await operator.post("revoke/tokens", body, tenant_id=tenant_id)
        for body in (
            {"jti": "a", "expires_at": "2999-01-01T00:00:00Z"},
            {"subject": "anna"},
            {"subject": "bert", "issued_before": "2020-01-01T00:00:00+01:00"},
            {},
        )
    ]
    shown = [answer.json()["data"] for answer in answers]
    assert [(one["tokens"], one["subjects"]) for one in shown] == [(1, 0), (1, 1), (1, 2), (1, 0)]
    assert [one["issued_before"] for one in shown] == [None, None, None, "2026-05-28T20:26:40Z"]


@pytest.mark.parametrize(
    "body",
    [
        {"jti": "a", "subject": "b"},
        {"jti": "a", "issued_before": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"issued_before": "2999-01-01T00:00:00Z"},
        {"jti": ""},
        {"subject": " a"},
    ],
)
async def test_a_revocation_that_is_not_clear_is_refused(operator: Operator, body: dict[str, object]) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    assert code(await operator.post("revoke/tokens", body, tenant_id=tenant_id)) == (422, "INVALID_BODY")
    assert code(await operator.post("revoke/tokens", {"jti": "a"}, tenant_id=str(new_id()))) == (404, "NOT_FOUND")
