"""The page about policies is true: it knows each policy and each of its settings, and the policy that it shows works."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from gateway.decision import Admission
from gateway.errors import CATALOGUE, Refused
from gateway.settings.policies import PolicyEntry, builtin_policies, find_policy
from tests import samples
from tests.pipeline.machine import Machine

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
EXAMPLE, ENTRIES = (re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1] for language in ("python", "yaml"))


def section(name: str) -> str:
    """What the page says about one policy."""
    match = re.search(rf"^- \*\*`{name}`\*\*(.*?)(?=^- \*\*|^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/policies.md says nothing about {name}"
    return match[1]


@pytest.mark.parametrize("name", builtin_policies())
def test_the_page_knows_each_policy_with_its_settings(name):
    told = section(name)
    missing = [setting for setting in find_policy(name).Config.model_fields if not re.search(rf"\b{setting}\b", told)]
    assert missing == []


def test_the_page_names_no_policy_and_no_code_that_there_is_not():
    assert set(re.findall(r"^- \*\*`(\w+)`\*\*", PAGE, re.MULTILINE)) == set(builtin_policies())
    codes = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))
    assert codes - set(CATALOGUE) == set()


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A stranger's package on the path, with the page's example in it."""
    package = tmp_path / "acme"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "hours.py").write_text(EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    # Other tests have strangers of this name too.
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in ("acme", "acme.hours"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("acme")
def test_the_policy_that_the_page_shows_works_as_the_page_names_it():
    policies = [PolicyEntry.model_validate(entry).build(samples.SETUP) for entry in yaml.safe_load(ENTRIES)["policies"]]
    machine = Machine(policies, {})

    def at(hour: int):
        return samples.request(received_at=datetime(2026, 4, 1, hour, tzinfo=UTC).timestamp())

    assert isinstance(machine.decide(at(8)), Admission)
    with pytest.raises(Refused) as refused:
        machine.decide(at(20))
    assert refused.value.problem is import_module("acme.hours").CLOSED


def test_the_policy_that_the_page_shows_is_short():
    code = EXAMPLE.partition("class BusinessHours")[2]
    assert len(code.splitlines()) <= 20
