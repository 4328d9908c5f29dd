from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import INSUFFICIENT_SCOPE, Refused
from gateway.pipeline.principal import ANONYMOUS
from policies.scopes import Scopes
from tests import samples
from tests.samples import JWT

SCOPES = Scopes(Scopes.Config(require=("read:users", "write:users")), samples.SETUP)


def holding(*scopes: str):
    return samples.call(replace(JWT, scopes=frozenset(scopes)))


def test_a_caller_who_holds_every_scope_passes():
    SCOPES.check(holding("write:users", "other", "read:users"))


@pytest.mark.parametrize("held", [(), ("read:users",), ("READ:USERS", "write:users"), ("read:users write:users",)])
def test_a_caller_who_lacks_a_scope_is_told_which(held):
    with pytest.raises(Refused) as refused:
        SCOPES.check(holding(*held))
    assert refused.value.problem is INSUFFICIENT_SCOPE
    for scope in {"read:users", "write:users"} - set(held):
        assert scope in refused.value.detail
    assert refused.value.headers == (("WWW-Authenticate", 'Bearer error="insufficient_scope", scope="read:users write:users"'),)


def test_nobody_in_particular_holds_no_scope():
    with pytest.raises(Refused) as refused:
        SCOPES.check(samples.call(ANONYMOUS, None))
    assert refused.value.problem is INSUFFICIENT_SCOPE


@pytest.mark.parametrize("require", [(), ("",), ("a b",), ('a"b',), ("a\\b",), ("a\r\nb",), ("a\n",), ("é",)])
def test_what_is_no_scope_cannot_be_required(require):
    with pytest.raises(ValidationError):
        Scopes.Config(require=require)
