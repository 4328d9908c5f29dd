"""The pages hold together: links lead somewhere, commands and scripts exist, the index knows every page, examples are right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import CATALOGUE
from gateway.settings.fault import KeyPath
from gateway.settings.load import load
from gateway.settings.schema import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("examples/**/*.md")])
SECRETS = {"ENCRYPTION_KEY": "A" * 43 + "=", "ADMIN_KEY": "a" * 64, "JWT_SECRET": "s" * 64}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Files that a page links to, with the heading in them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (page.parent / file if file else page).resolve(), anchor


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as hosting sites make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def example() -> str:
    match = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match is not None
    return match[1]


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target, anchor in links(page):
        assert target.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading #{anchor}"


@each_page
def test_every_command_that_a_page_names_exists(page):
    commands = set(typer.main.get_command(app).commands)
    named = set(re.findall(r"(?:^ {4}|`|\$\(|/bin/)tenantgate ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named - commands == set()


@each_page
def test_every_script_that_a_page_names_exists(page):
    named = set(re.findall(r"(?<![\w/.])((?:scripts|\.ci)/[\w-]+)", page.read_text()))
    assert [script for script in named if not (ROOT / script).is_file()] == []


def test_the_index_links_every_page():
    linked = {target for target, _ in links(ROOT / "docs/README.md")}
    assert {page for page in PAGES if page.parent.name == "docs"} - {ROOT / "docs/README.md"} - linked == set()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_the_commands_of_the_product_are_all_told_about(name):
    text = (ROOT / name).read_text()
    told = {"README.md": {"check", "serve", "token"}, "CHANGELOG.md": set(typer.main.get_command(app).commands)}[name]
    assert [command for command in told if not re.search(rf"`(?:tenantgate )?{command}`|tenantgate {command}", text)] == []


def test_the_example_of_the_readme_is_small_and_valid(tmp_path, monkeypatch):
    (tmp_path / "gateway.yaml").write_text(example())
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    told = CliRunner().invoke(app, ["check", "-c", str(tmp_path / "gateway.yaml")])
    assert told.exit_code == 0, told.output
    assert len(example().splitlines()) <= 30


def test_the_ports_that_the_readme_names_are_those_of_its_example(tmp_path):
    (tmp_path / "gateway.yaml").write_text(example())
    listeners = load(tmp_path / "gateway.yaml", SECRETS).listeners
    text = (ROOT / "README.md").read_text()
    assert f"tenants on port {listeners.public.port}, operators on {listeners.admin.port}" in text


@pytest.mark.parametrize("name", ["guarantees", "deployment", "architecture"])
def test_codes_and_keys_that_a_page_names_exist(name):
    text = (ROOT / f"docs/{name}.md").read_text()
    codes = set(re.findall(r"`([A-Z]{3,}(?:_[A-Z]+)+)`", text)) - {"TENANTGATE_CONFIG", "TENANTGATE_WORKERS"}
    assert codes - set(CATALOGUE) == set()
    keys = re.findall(r"`((?:store|listeners|secrets|identity)\.[a-z_.]+)(?:\.<name>)?`", text)
    assert [key for key in keys if not is_key(tuple(key.split(".")))] == []


def is_key(path: KeyPath) -> bool:
    fields = Settings.model_fields
    for step in path[:-1]:
        fields = fields[str(step)].annotation.model_fields
    return path[-1] in fields


def test_the_defaults_that_the_guarantees_name_are_those_of_the_code(tmp_path):
    from gateway.edge.hygiene import MAX_HEADER_BYTES, MAX_HEADERS
    from gateway.edge.patience import HEAD_WITHIN
    from gateway.forward.target import MAX_WAITING
    from gateway.store.lease import BUCKET_LEASE

    (tmp_path / "gateway.yaml").write_text(example())
    settings = load(tmp_path / "gateway.yaml", SECRETS)
    text = (ROOT / "docs/guarantees.md").read_text()
    for told in (
        f"`store.deadline` ({settings.store.deadline * 1000:g} ms)",
        f"`listeners.public.body_idle` ({settings.listeners.public.body_idle:g} s)",
        f"`max_connections` ({settings.upstreams['app'].max_connections})",
        f"{MAX_WAITING:,} requests wait",
        f"{MAX_HEADER_BYTES >> 10} KiB, {MAX_HEADERS}, 8 KiB",
        f"time for the header block | {HEAD_WITHIN:g} s",
        f"lease of {BUCKET_LEASE:g} s",
        f"`max_body` ({settings.routes[0].max_body >> 20} MiB)",
    ):
        assert told in text, told
