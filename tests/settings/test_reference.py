"""docs/configuration.md tells every key and every policy, as they are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from gateway.settings.load import load
from gateway.settings.reference import PAGE, rewritten
from gateway.settings.schema import Settings

ROOT = Path(__file__).parents[2]


def _page() -> str:
    return (ROOT / PAGE).read_text("utf-8")


def test_the_page_is_as_the_models_say() -> None:
    assert _page() == rewritten(_page()), "run: python -m gateway.settings.reference"


def test_the_page_has_a_table_for_every_section() -> None:
    headings = re.findall(r"^### (.+)$", _page(), re.MULTILINE)
    for section in (
        "listeners.public",
        "store",
        "secrets",
        "identity.issuers.<name>.claims",
        "upstreams.<name>.timeouts",
        "routes[]",
    ):
        assert section in headings
    assert all(f"| `{key}` |" in _page() for key in Settings.model_fields)
    assert "jwt_bearer" in headings


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", _page(), re.DOTALL)
    assert example is not None
    (tmp_path / "gateway.yaml").write_text(example[1])
    assert load(tmp_path / "gateway.yaml", {"JWT_SECRET": "x" * 32}).version == yaml.safe_load(example[1])["version"]
