"""A configuration that is right, for tests to spoil, and policies of somebody else on the import path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.settings.fault import Faults
from gateway.settings.load import load
from gateway.settings.schema import Settings

STRANGERS = Path(__file__).parent / "strangers"

VALID = """\
version: 1
secrets:
  admin_keys:
    ops: only-for-tests-only-for-tests-only
identity:
  issuers:
    main:
      algorithms: [HS256]
      secret: only-for-tests-only-for-tests-only
upstreams:
  app:
    targets: ["http://127.0.0.1:9000"]
plans:
  free:
    rate: 100/second
    quotas: {requests: 1000, emails: null}
    features: [reports]
orgs:
  main: {default_plan: free}
routes:
  - name: app
    path: /api/*
    upstream: app
    policies:
      - jwt_bearer: {issuers: [main]}
      - tenant_match
      - tenant_status
      - rate_limit
      - quota: {metric: requests}
      - tenant_headers
  - name: keys
    path: /.well-known/jwks.json
    builtin: jwks
    policies: [public]
"""

Load = Callable[..., Settings]
Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _strangers_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STRANGERS)


@pytest.fixture
def valid() -> str:
    return VALID


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Settings of a text, under an environment."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str = VALID, environ: Mapping[str, str] | None = None) -> Settings:
        Path("gateway.yaml").write_text(text, "utf-8")
        return load(Path("gateway.yaml"), environ or {})

    return load_text


@pytest.fixture
def refused(loaded: Load) -> Refused:
    """The faults of a text, one a line."""

    def faults_of(text: str = VALID, environ: Mapping[str, str] | None = None) -> str:
        with pytest.raises(Faults) as caught:
            loaded(text, environ)
        return str(caught.value)

    return faults_of
