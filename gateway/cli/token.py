"""`tenantgate token`: a JWT for tests, as an issuer of gateway.yaml would make it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import jwt
import typer

from gateway.settings.fault import Faults
from gateway.settings.load import load
from gateway.settings.schema import IssuerSettings

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration.", envvar="TENANTGATE_CONFIG")]


def token_of(issuer: IssuerSettings, *, tenant: str, subject: str, role: str | None = None, expires_in: int = 3600) -> str:
    """A token that `issuer` would issue now. Raises ValueError where it signs with keys that are not ours."""
    if issuer.secret is None:
        raise ValueError("only issuers with a shared secret (HS256, HS384, HS512) can be stood in for")
    now = int(time.time())
    claims = {
        "iss": issuer.issuer,
        "aud": issuer.audience,
        "sub": subject,
        issuer.claims.tenant: tenant,
        issuer.claims.role: role,
        "iat": now,
        "exp": now + expires_in,
    }
    known = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(known, issuer.secret.get_secret_value(), algorithm=issuer.algorithms[0])


def token(
    tenant: Annotated[str, typer.Option(help="Slug of the tenant.")],
    sub: Annotated[str, typer.Option(help="Subject: who calls.")] = "tester",
    issuer: Annotated[str | None, typer.Option(help="Name of the issuer; needed where there are several.")] = None,
    role: Annotated[str | None, typer.Option(help="The caller's role.")] = None,
    expires_in: Annotated[int, typer.Option(help="Seconds until it expires; negative: it has expired already.")] = 3600,
    config: Config = Path("gateway.yaml"),
) -> None:
    """Print a JWT for tests, signed with the shared secret of an issuer in the configuration."""
    try:
        chosen = _issuer(load(config, os.environ).identity.issuers, issuer)
        typer.echo(token_of(chosen, tenant=tenant, subject=sub, role=role, expires_in=expires_in))
    except (Faults, OSError, ValueError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None


def _issuer(issuers: Mapping[str, IssuerSettings], name: str | None) -> IssuerSettings:
    if name is None and len(issuers) == 1:
        return next(iter(issuers.values()))
    if name is None or name not in issuers:
        raise ValueError(f"name one of the issuers by --issuer: {', '.join(issuers) or 'none is configured'}")
    return issuers[name]
