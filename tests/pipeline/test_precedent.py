"""What may be remembered of an admission follows from what its policies say that they rest on; of silent ones, nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from gateway.errors import KEY_MISSING, Problem
from gateway.pipeline.call import Call
from gateway.pipeline.chain import Chain
from gateway.pipeline.claim import Claim, Evidence
from gateway.pipeline.lookup import TenantBySlug
from gateway.pipeline.policy import Mode, Phase, RestsOn
from gateway.pipeline.precedent import Precedent
from gateway.pipeline.principal import Principal
from gateway.pipeline.question import Admit
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.verified import Credential
from tests.samples import BOUND_KEY, call


@dataclass
class Presented:
    lookup: TenantBySlug = TenantBySlug("acme")  # noqa: RUF009 -- immutable
    needs_body: bool = False

    def prove(self, evidence: Evidence) -> Principal:
        return BOUND_KEY


class Silent:
    """An authenticator that does not say what it rests on."""

    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    missing: ClassVar[Problem] = KEY_MISSING
    challenge: ClassVar[str] = "Test"

    def presents(self, request: InboundRequest) -> bool:
        return True

    def authenticate(self, request: InboundRequest) -> Claim:
        return Presented()


class OfTheHead(Silent):
    rests_on: ClassVar[RestsOn] = "head"


class OfTheRequest(Silent):
    rests_on: ClassVar[RestsOn] = "request"


class Known(Silent):
    """One whose claims serve again."""

    valid = True

    def presented(self, request: InboundRequest) -> str:
        return ""

    def holds(self, claim: Claim, now: float) -> bool:
        return self.valid


class Rule:
    phase: ClassVar[Phase] = Phase.RIGHT

    def check(self, call: Call) -> None: ...


class RuleOfTheHead(Rule):
    rests_on: ClassVar[RestsOn] = "head"


class TriedRule(RuleOfTheHead):
    mode: Mode = "shadow"


def precedent(
    authenticator: Silent, *rules: Rule, principal: Principal = BOUND_KEY, body: bytes | None = None
) -> Precedent | None:
    reusable = authenticator if isinstance(authenticator, Known) else None
    question = Admit(replace(call(principal), body=body), (), ())
    return Precedent.of(Chain.of([authenticator, *rules]), question, Credential(Presented(), authenticator, reusable))


@pytest.mark.parametrize("authenticator", [OfTheHead(), Known()])
def test_there_is_one_where_all_rests_on_the_head(authenticator: Silent) -> None:
    found = precedent(authenticator, RuleOfTheHead())
    assert found is not None
    assert found.holds(0.0)


@pytest.mark.parametrize("authenticator", [Silent(), OfTheRequest()])
def test_there_is_none_where_a_credential_rests_on_more(authenticator: Silent) -> None:
    assert precedent(authenticator) is None


@pytest.mark.parametrize("rule", [Rule(), TriedRule()])
def test_there_is_none_where_a_rule_rests_on_more_or_is_tried(rule: Rule) -> None:
    assert precedent(OfTheHead(), rule) is None


def test_there_is_none_of_what_is_served_once_or_was_read_whole() -> None:
    assert precedent(OfTheHead(), principal=replace(BOUND_KEY, nonce="n")) is None
    assert precedent(OfTheHead(), body=b"") is None


def test_it_holds_as_long_as_the_credential_does() -> None:
    found = precedent(OfTheHead(), principal=replace(BOUND_KEY, until=10.0))
    assert found is not None
    assert (found.holds(9.9), found.holds(10.0)) == (True, False)


def test_it_holds_as_long_as_the_claim_would_be_made_again() -> None:
    known = Known()
    found = precedent(known)
    assert found is not None
    known.valid = False
    assert not found.holds(0.0)


def test_a_claim_that_is_not_asked_again_is_not_kept() -> None:
    found = precedent(OfTheHead())
    assert found is not None
    assert found.claim is None
