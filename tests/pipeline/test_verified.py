from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from gateway.errors import TOKEN_MISSING, Problem
from gateway.pipeline.claim import Claim, Evidence
from gateway.pipeline.lookup import Lookup, TenantBySlug
from gateway.pipeline.memo import IdentityMemo, Verdicts
from gateway.pipeline.policy import Phase
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.verified import Credential, Verified
from tests.samples import ACME

REQUEST = InboundRequest("GET", b"/", "a", (), "192.0.2.1", "http", "r1", received_at=100.0)


@dataclass(frozen=True)
class Badge:
    """Names a tenant, and holds until an instant."""

    tenant: str
    until: float = 200.0
    needs_body: bool = False

    @property
    def lookup(self) -> Lookup:
        return TenantBySlug(self.tenant)

    def prove(self, evidence: Evidence) -> Principal:
        return Principal("jwt", self.tenant)


class Badges:
    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    missing: ClassVar[Problem] = TOKEN_MISSING
    challenge: ClassVar[str] = "Badge"

    def presents(self, request: InboundRequest) -> bool:
        return True

    def presented(self, request: InboundRequest) -> str:
        return request.header("badge") or ""

    def authenticate(self, request: InboundRequest) -> Badge:
        return Badge(self.presented(request).partition(" ")[0])

    def holds(self, claim: Claim, now: float) -> bool:
        return isinstance(claim, Badge) and now < claim.until


BADGES = Badges()


def showing(badge: str, at: float = 100.0) -> InboundRequest:
    return replace(REQUEST, fields=((b"badge", badge.encode()),), received_at=at)


def kept(verified: Verified, badge: str, authenticator: Badges = BADGES) -> None:
    claim = authenticator.authenticate(showing(badge))
    verified.keep(authenticator, showing(badge), claim, None, claim.prove(Evidence(None)))


def test_a_credential_that_held_is_found_again_until_it_ends() -> None:
    verified = Verified()
    kept(verified, "acme 1")
    assert verified.find(BADGES, showing("acme 1")) is not None
    assert verified.find(BADGES, showing("acme 2")) is None
    assert verified.find(BADGES, showing("acme 1", at=200.0)) is None
    assert len(verified) == 0


def test_what_one_route_accepts_no_other_does_for_that() -> None:
    verified = Verified()
    kept(verified, "acme 1")
    assert verified.find(Badges(), showing("acme 1")) is None


def test_a_tenant_with_many_credentials_loses_its_own_and_no_other_s() -> None:
    verified = Verified(own=3, size=100)
    kept(verified, "globex 1")
    for number in range(10):
        kept(verified, f"acme {number}")
    assert verified.find(BADGES, showing("globex 1")) is not None
    assert [verified.find(BADGES, showing(f"acme {n}")) is not None for n in (6, 7, 8, 9)] == [False, True, True, True]


def test_there_are_never_more_than_so_many() -> None:
    verified = Verified(own=3, size=5)
    for number in range(50):
        kept(verified, f"tenant-{number} 1")
    assert len(verified) == 5
    assert verified.find(BADGES, showing("tenant-49 1")) is not None


def test_no_credential_is_kept_itself() -> None:
    verified = Verified()
    kept(verified, "acme canary-7f3a")
    assert "canary-7f3a" not in repr(vars(verified))


def test_it_is_proved_again_against_another_record() -> None:
    verified, proofs = Verified(), []

    class Counted(Badge):
        def prove(self, evidence: Evidence) -> Principal:
            proofs.append(evidence.record)
            return super().prove(evidence)

    changed = replace(ACME, version=ACME.version + 1)
    credential = Credential(Counted("acme"), BADGES, BADGES)
    for record in (ACME, ACME, changed, changed, ACME):
        credential.prove(record, None, verified, showing("acme 1"))
    assert proofs == [ACME, changed, ACME]


def test_a_memo_goes_by_which_object_it_is_and_keeps_the_newest() -> None:
    memo = IdentityMemo[int](size=2)
    one, equal, computed = [1], [1], iter(range(10))
    assert [memo(lambda: next(computed), one), memo(lambda: next(computed), one)] == [0, 0]
    assert memo(lambda: next(computed), equal) == 1
    assert memo(lambda: next(computed), [2]) == 2
    assert memo(lambda: next(computed), one) == 3


def test_names_of_strangers_are_judged_within_bounds() -> None:
    verdicts = Verdicts(lambda name: name.startswith(b"x"))
    for number in range(10_000):
        assert verdicts[b"x-%d" % number]
    assert not verdicts[b"y" * 1000]
    assert len(verdicts) <= 4096
    assert b"y" * 1000 not in verdicts
