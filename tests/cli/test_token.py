"""`tenantgate token`: what it prints passes where a token of the issuer would, and nowhere else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

SECRET = "a secret of the tests, longer than 32 bytes"
CONFIG = """
version: 1
identity:
  issuers:
    app: {algorithms: [HS256], secret: "${APP_SECRET}", issuer: app.example, audience: api, claims: {tenant: company}}
    %s
plans: {free: {}}
orgs: {main: {default_plan: free}}
routes:
  - name: all
    path: /*
    upstream: app
    policies: [jwt_bearer: {issuers: [app]}, tenant_match, tenant_status, tenant_headers]
upstreams: {app: {targets: ["http://127.0.0.1:1"]}}
"""
OTHER = 'other: {algorithms: [EdDSA], jwks_url: "https://other.example/keys", issuer: other}'


def token(folder: Path, *arguments: str, other: str = "") -> Result:
    (folder / "gateway.yaml").write_text(CONFIG % other)
    environment = {"APP_SECRET": SECRET, "TENANTGATE_CONFIG": str(folder / "gateway.yaml")}
    return CliRunner().invoke(app, ["token", *arguments], env={**os.environ, **environment})


def test_a_token_is_made_as_the_issuer_is_configured(tmp_path: Path) -> None:
    done = token(tmp_path, "--tenant", "acme", "--sub", "u1", "--role", "manager", "--expires-in", "60")
    assert done.exit_code == 0
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"], audience="api", issuer="app.example")
    assert (claims["sub"], claims["company"], claims["role"]) == ("u1", "acme", "manager")
    assert claims["exp"] - claims["iat"] == 60
    assert abs(claims["iat"] - time.time()) < 30


def test_a_token_can_have_expired_already(tmp_path: Path) -> None:
    done = token(tmp_path, "--tenant", "acme", "--expires-in", "-1")
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"], audience="api")


def test_the_issuer_has_to_be_named_where_there_are_several(tmp_path: Path) -> None:
    done = token(tmp_path, "--tenant", "acme", other=OTHER)
    assert done.exit_code == 1
    assert "name one of the issuers by --issuer: app, other" in done.stderr


def test_an_issuer_without_a_shared_secret_cannot_be_stood_in_for(tmp_path: Path) -> None:
    done = token(tmp_path, "--tenant", "acme", "--issuer", "other", other=OTHER)
    assert done.exit_code == 1
    assert "shared secret" in done.stderr


def test_a_faulty_configuration_is_told(tmp_path: Path) -> None:
    done = token(tmp_path, "--tenant", "acme", "--issuer", "app", other="nonsense: 1")
    assert done.exit_code == 1
    assert "gateway.yaml" in done.stderr
