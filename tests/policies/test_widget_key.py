from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AMBIGUOUS_CREDENTIALS, KEY_INVALID, Refused
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import OwnerOfWidgetKey, Record
from gateway.pipeline.policy import Authenticator
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.credential import WidgetKey as StoredKey
from gateway.tenancy.keytext import new_widget_key
from policies.widget_key import WidgetKey

from .credentials import NOW, ORG, SETUP, TENANT, WIDGET_KEY, request

POLICY = WidgetKey(WidgetKey.Config(), SETUP)
IN_HEADER = request(headers={"X-Widget-Key": WIDGET_KEY})
IN_QUERY = request(target=f"/chat?a=1&public_key={WIDGET_KEY}")


def prove(sent: InboundRequest, record: Record | None = TENANT) -> Principal:
    claim = POLICY.authenticate(sent)
    assert not claim.needs_body
    return claim.prove(Evidence(record))


def refusal(sent: InboundRequest, record: Record | None = TENANT) -> Refused:
    with pytest.raises(Refused) as caught:
        prove(sent, record)
    return caught.value


def test_it_is_an_authenticator_that_demands_the_check_of_the_origin() -> None:
    assert isinstance(POLICY, Authenticator)
    assert WidgetKey.requires == ("origin",)


@pytest.mark.parametrize("sent", [IN_HEADER, IN_QUERY])
def test_a_widget_key_comes_in_a_header_or_in_the_query(sent: InboundRequest) -> None:
    assert POLICY.presents(sent)
    assert POLICY.authenticate(sent).lookup == OwnerOfWidgetKey(WIDGET_KEY)
    assert prove(sent) == Principal(method="widget", subject="pk_abcdefgh", org="main", credential_id="pk_abcdefgh")


def test_a_request_without_one_presents_none() -> None:
    assert not POLICY.presents(request(target="/?key=pk_1", headers={"X-Api-Key": WIDGET_KEY}))


@pytest.mark.parametrize(
    "sent",
    [
        replace(IN_HEADER, target=IN_QUERY.target),
        replace(IN_QUERY, target=IN_QUERY.target + f"&public_key={WIDGET_KEY}".encode()),
        replace(IN_HEADER, target=b"/?public_key="),
    ],
)
def test_two_keys_are_ambiguous_even_if_they_are_equal(sent: InboundRequest) -> None:
    assert refusal(sent).problem is AMBIGUOUS_CREDENTIALS


@pytest.mark.parametrize(
    "text", ["", "pk_", WIDGET_KEY[:-1], WIDGET_KEY + "0", "PK" + WIDGET_KEY[2:], "' OR 1=1", "x" * 1_000_000]
)
def test_a_malformed_key_is_refused_without_a_look_up(text: str) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.authenticate(request(headers={"X-Widget-Key": text}))
    assert caught.value.problem is KEY_INVALID


@pytest.mark.parametrize("record", [None, ORG, replace(TENANT, widget_keys=())])
def test_a_key_that_no_tenant_holds_is_invalid(record: Record | None) -> None:
    assert refusal(IN_HEADER, record).problem is KEY_INVALID


def test_a_rotated_key_works_until_its_grace_ends() -> None:
    record = replace(TENANT, widget_keys=(StoredKey(new_widget_key(), NOW), StoredKey(WIDGET_KEY, 0, not_after=NOW + 60)))
    assert prove(replace(IN_HEADER, received_at=NOW + 59.9), record)
    assert refusal(replace(IN_HEADER, received_at=NOW + 60), record).problem is KEY_INVALID


def test_a_rotation_without_grace_holds_also_where_the_clock_is_late() -> None:
    record = replace(TENANT, widget_keys=(StoredKey(WIDGET_KEY, 0, not_after=NOW),), updated_at=NOW)
    assert refusal(replace(IN_HEADER, received_at=NOW - 5), record).problem is KEY_INVALID


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\n\r\0")))
def test_whatever_the_header_holds_the_answer_is_a_refusal(value: str) -> None:
    refusal(request(headers={"X-Widget-Key": value}))
