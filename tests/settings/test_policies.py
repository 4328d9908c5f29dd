"""How a policy is found by its name, and what is no policy."""

from __future__ import annotations

import sys
import types
from typing import ClassVar

import pytest
from pydantic import ValidationError

from gateway.pipeline.policy import Phase, PolicyConfig, Setup
from gateway.settings.policies import PolicyEntry, PolicyNotFound, builtin_policies, class_name, find_policy
from policies.tenant_match import TenantMatch


@pytest.mark.parametrize("name", builtin_policies())
def test_every_module_of_policies_is_a_policy(name: str) -> None:
    policy = find_policy(name)
    assert policy.__module__ == f"policies.{name}"
    assert policy.__name__ == class_name(name)


def test_a_short_name_and_its_dotted_path_are_the_same_policy() -> None:
    assert find_policy("tenant_match") is find_policy("policies.tenant_match.TenantMatch")
    assert find_policy("tenant_match").__name__ == TenantMatch.__name__


class _NoPhase:
    class Config(PolicyConfig): ...

    def check(self) -> None: ...


class _Idle:
    phase: ClassVar[Phase] = Phase.RIGHT

    class Config(PolicyConfig): ...


class _OtherConfig:
    phase: ClassVar[Phase] = Phase.RIGHT
    Config = dict

    def check(self) -> None: ...


@pytest.fixture
def _module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("stranger")
    for kind in (_NoPhase, _Idle, _OtherConfig):
        setattr(module, kind.__name__.lstrip("_"), kind)
    monkeypatch.setitem(sys.modules, "stranger", module)


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stranger.NoPhase", "expected a class with a `phase`"),
        ("stranger.Idle", "expected a class with one of authenticate, principal, check, demands, stamp"),
        ("stranger.OtherConfig", "expected a class with a nested pydantic model `Config`"),
        ("stranger.Nothing", 'found no class "Nothing" in stranger'),
        ("nowhere.Policy", 'found no module "nowhere"'),
        ("stranger.inner.Policy", 'found no module "stranger.inner"'),
        ("acme.unimportable.Policy", "which does not import (ModuleNotFoundError: No module named 'something_missing')"),
        ("acme.failing.Policy", "which does not import (ZeroDivisionError: division by zero)"),
        ("tenant_mach", "Did you mean tenant_match?"),
        ("xyzzy", "There are: "),
        ("TenantMatch", "a policy's name of another form"),
        ("../tenant_match", "a policy's name of another form"),
        ("", "a policy's name of another form"),
    ],
)
def test_what_is_no_policy_is_told_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(PolicyNotFound) as caught:
        find_policy(name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "name", "config"),
    [
        ("tenant_match", "tenant_match", {}),
        ({"tenant_match": None}, "tenant_match", {}),
        ({"rate_limit": {"rate": "5/second"}}, "rate_limit", {"rate": "5/second"}),
    ],
)
def test_an_entry_is_a_name_or_a_name_with_keys(raw: object, name: str, config: dict[str, object]) -> None:
    entry = PolicyEntry.model_validate(raw)
    assert (entry.name, entry.config) == (name, config)
    assert PolicyEntry.model_validate(entry) is entry


@pytest.mark.parametrize("raw", [None, 5, [], {}, {"a": {}, "b": {}}, {"a": 5}, {"a": []}])
def test_anything_else_is_no_entry(raw: object) -> None:
    with pytest.raises(ValidationError):
        PolicyEntry.model_validate(raw)


def test_an_entry_builds_its_policy_with_its_keys() -> None:
    policy = PolicyEntry.model_validate({"acme.hours.BusinessHours": {"opens": 10}}).build(Setup("app"))
    assert policy.phase is Phase.ENTITLEMENT
    with pytest.raises(ValueError, match="open before"):
        PolicyEntry.model_validate({"acme.hours.BusinessHours": {"opens": 20}}).build(Setup("app"))
