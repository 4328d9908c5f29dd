from __future__ import annotations

from gateway.pipeline.chain import Chain
from gateway.pipeline.policy import Anonymous, Phase
from policies.public import Public
from tests import samples

PUBLIC = Public(Public.Config(), samples.SETUP)


def test_it_lets_callers_in_as_nobody_in_particular():
    assert isinstance(PUBLIC, Anonymous)
    assert PUBLIC.phase is Phase.AUTHENTICATE
    assert PUBLIC.principal.method == "public"
    assert PUBLIC.principal.scopes == frozenset()
    assert not PUBLIC.principal.root


def test_a_public_route_looks_at_no_credential():
    chain = Chain.of([PUBLIC])
    assert chain.authenticator(samples.request(headers={"authorization": "Bearer nonsense"})) is None
    assert chain.anonymous is PUBLIC.principal
