"""The house keeps its promises: imports look one way, policies are pure and one to a file, files are small and named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from gateway.pipeline.policy import Phase, PolicyConfig

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for top in ("gateway", "policies", "examples", "bench")
    for path in (ROOT / top).rglob("*.py")
    if "__pycache__" not in path.parts
)
POLICIES = sorted(path.stem for path in (ROOT / "policies").glob("*.py") if path.stem != "__init__")

# docs/architecture.md, "Rooms": a room may look at rooms of its own line and of those above it.
LINES = [
    {"errors", "clock", "deadline"},
    {"tenancy", "pipeline"},
    {"policies", "settings", "routing"},
    {"store", "ledger", "registry", "identity", "forward", "telemetry", "webhooks", "billing"},
    {"decision"},
    {"edge", "api", "transaction", "proxy", "express"},
    {"app", "server", "workers"},
    {"client", "cli"},
]
LINE = {room: number for number, line in enumerate(LINES) for room in line}
FOR_POLICIES = {"errors", "pipeline", "tenancy"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "service", "common", "base", "misc", "core"}
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
each_policy = pytest.mark.parametrize("name", POLICIES)


def room_of(module: str) -> str | None:
    """The room that a dotted name of ours lies in; None: not ours, or the package `gateway` itself."""
    parts = module.split(".")
    if parts[0] == "policies":
        return "policies"
    return parts[1] if parts[0] == "gateway" and len(parts) > 1 else None


def module_of(source: Path) -> str:
    return ".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it, relative ones resolved."""
    package = module_of(source).split(".")
    if source.stem != "__init__":
        package = package[:-1]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            # `from gateway import errors` names a room by what is imported.
            yield from ((f"{module}.{alias.name}" for alias in node.names) if module == "gateway" else [module])


def room_imports() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        own = room_of(module_of(source))
        if own is not None and own != "__main__":
            others = {room_of(module) for module in imports(source)} - {own, None}
            found.setdefault(own, set()).update(room for room in others if room is not None)
    return found


ROOM_IMPORTS = room_imports()


@pytest.mark.parametrize("room", sorted(ROOM_IMPORTS))
def test_a_room_stands_on_a_line_and_looks_at_no_line_below_its_own(room):
    assert room in LINE, f"say in docs/architecture.md and here where the room {room!r} stands"
    below = {other for other in ROOM_IMPORTS[room] if LINE[other] > LINE[room]}
    assert not below, f"{room} looks at {', '.join(sorted(below))}"


def test_no_rooms_look_at_each_other():
    try:
        TopologicalSorter(ROOM_IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"rooms in a circle: {' -> '.join(error.args[1])}")


def test_the_page_names_every_room():
    _, _, section = (ROOT / "docs/architecture.md").read_text().partition("## Rooms")
    named = {word for quoted in re.findall(r"`([^`]*)`", section) for word in re.findall(r"[a-z]+", quoted)}
    assert set(LINE) - named == set()


@each_policy
def test_a_policy_imports_values_and_libraries_only(name):
    modules = list(imports(ROOT / "policies" / f"{name}.py"))
    assert {room_of(module) for module in modules} - FOR_POLICIES - {None} == set()
    assert "gateway" not in modules
    # Neither clock, network, files nor randomness: the same call always gets the same answer.
    assert {"time", "socket", "asyncio", "random", "secrets", "os", "pathlib", "redis", "httpx"}.isdisjoint(modules)


@each_policy
def test_a_policy_is_the_one_class_that_its_file_is_named_after(name):
    module = import_module(f"policies.{name}")
    own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
    (policy,) = [item for item in own if hasattr(item, "phase")]
    assert policy.__name__ == "".join(part.capitalize() for part in name.split("_"))
    assert isinstance(policy.phase, Phase)
    assert issubclass(policy.Config, PolicyConfig)
    assert policy.Config.__qualname__ == f"{policy.__name__}.Config"


@each_policy
def test_every_setting_of_a_policy_is_documented(name):
    module = import_module(f"policies.{name}")
    (config,) = [item.Config for item in vars(module).values() if isinstance(item, type) and hasattr(item, "phase")]
    assert [setting for setting, field in config.model_fields.items() if not field.description] == []


ABILITIES = {
    Phase.AUTHENTICATE: ("authenticate", "principal"),
    Phase.MATCH: ("check",),
    Phase.RIGHT: ("check",),
    Phase.STATE: ("check",),
    Phase.ENTITLEMENT: ("check",),
    Phase.ADMIT: ("demands",),
    Phase.STAMP: ("stamp",),
}


@each_policy
def test_a_policy_does_what_its_phase_is_for(name):
    module = import_module(f"policies.{name}")
    (policy,) = [item for item in vars(module).values() if isinstance(item, type) and hasattr(item, "phase")]
    assert any(hasattr(policy, ability) for ability in ABILITIES[policy.phase])


@each_policy
def test_a_policy_has_tests_of_its_own(name):
    assert "def test_" in (ROOT / "tests/policies" / f"test_{name}.py").read_text()


@each_source
def test_a_file_is_small_enough_to_be_read_at_once(source):
    assert len(source.read_text().splitlines()) <= 300


@each_source
def test_a_file_says_what_is_in_it(source):
    assert source.stem not in FORBIDDEN_NAMES
    assert not FORBIDDEN_NAMES & set(source.relative_to(ROOT).parts)
    assert ast.get_docstring(ast.parse(source.read_text())), "every module opens with what it is for"


def test_no_import_package_named_config_gets_installed():
    assert not list((ROOT / "config").rglob("*.py"))
