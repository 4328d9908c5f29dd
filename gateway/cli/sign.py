"""`tenantgate sign`: the headers of a signed request (HMAC#1), ready for curl."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import time
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.pipeline.signing import is_nonce, mac_of
from gateway.tenancy.ids import parse_id
from policies.hmac_signature import string_to_sign

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECRET_VARIABLE = "TENANTGATE_SECRET"  # noqa: S105


class Format(StrEnum):
    HEADERS = "headers"
    CURL = "curl"


def sign_headers(
    method: str,
    url: str,
    *,
    tenant_id: str,
    secret: str,
    body: bytes = b"",
    timestamp: int | None = None,
    nonce: str | None = None,
) -> Mapping[str, str]:
    """The four headers that sign a request as docs/signing.md tells; by default with the present time and a random nonce.
    Raises ValueError where the request could not be accepted."""
    host, target = host_and_target(url)
    time_text = str(int(time.time()) if timestamp is None else timestamp)
    nonce = secrets.token_urlsafe(24) if nonce is None else nonce
    if not is_nonce(nonce):
        raise ValueError("a nonce is 16 to 128 visible ASCII characters")
    if parse_id("tnt", tenant_id) is None:
        raise ValueError(f"{tenant_id!r} is not a tenant's id")
    message = string_to_sign(tenant_id, time_text, nonce, method, host, target, sha256(body).hexdigest())
    return {
        "X-Tenant-Id": tenant_id,
        "X-Timestamp": time_text,
        "X-Nonce": nonce,
        "X-Signature": f"v1={mac_of(secret.encode(), message).hex()}",
    }


def sign(
    method: Annotated[str, typer.Argument(help="Method of the request, such as POST.")],
    url: Annotated[str, typer.Argument(help="The whole URL, as it will be requested.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Id of the tenant, in either form.")],
    secret_file: Annotated[
        Path | None, typer.Option(help=f"File that holds the tenant's secret. Default: the variable {_SECRET_VARIABLE}.")
    ] = None,
    body: Annotated[str, typer.Option(help="Body of the request, or `@file`.")] = "",
    form: Annotated[Format, typer.Option("--format", help="Plain headers, or arguments for curl.")] = Format.HEADERS,
) -> None:
    """Print the headers that sign a request with a tenant's secret.

    The secret never stands on the command line, where other users and the shell's history would see it.
    """
    try:
        headers = sign_headers(method.upper(), url, tenant_id=tenant, secret=_secret(secret_file), body=_body(body))
    except (OSError, ValueError) as fault:
        raise typer.BadParameter(str(fault)) from fault
    if form is Format.CURL:
        typer.echo(" ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()))
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in headers.items()))


def host_and_target(url: str) -> tuple[str, str]:
    """What a client sends as `Host` and as request target. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    if parts.username is not None:
        raise ValueError("the URL holds a user name; it would be sent as a second credential")
    if re.search(r"[^!-~]", url) is not None:
        raise ValueError("the URL holds a space or a character outside of ASCII; encode it")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]):
        host = f"{host}:{parts.port}"
    # Taken from the text itself, since parsing would lose an empty query's question mark.
    target = re.sub(r"^[a-z]+://[^/?#]*", "", url.partition("#")[0], flags=re.IGNORECASE)
    return host, target if target.startswith("/") else f"/{target}"


def _secret(file: Path | None) -> str:
    secret = os.environ.get(_SECRET_VARIABLE, "") if file is None else file.read_text("ascii")
    if not secret.strip():
        raise ValueError(f"no secret: name its file by --secret-file, or set {_SECRET_VARIABLE}")
    return secret.strip()


def _body(text: str) -> bytes:
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
