"""Five requests to paste into another terminal, each of which shows something."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .tenants import Provision


@dataclass(frozen=True, slots=True)
class Stop:
    """`line` works in any shell as it is."""

    shows: str
    line: str


def tour(url: str, email: str, password: str, provision: Provision, secret_file: Path) -> Sequence[Stop]:
    """`secret_file` holds the signing secret of the first tenant."""
    own, other, suspended = provision.tenants[:3]
    users = f"{url}/api/v1/users"
    credentials = json.dumps({"email": email, "password": password, "tenant": own.tenant.slug})
    login = f"curl -s {url}/api/auth/login -H 'Content-Type: application/json' -d {shlex.quote(credentials)}"
    token = f"""$({login} | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')"""
    sign = f"{_command()} sign GET {users} --tenant {own.tenant.id} --secret-file {shlex.quote(str(secret_file))}"
    return [
        Stop(
            f"Log in as {email} of {own.tenant.slug}, and read its users: 200.",
            f"""curl -si {users} -H "Authorization: Bearer {token}" -H 'X-Tenant: {own.tenant.slug}'""",
        ),
        Stop(
            f"The same token, with the header of {other.tenant.slug}: 401 TENANT_MISMATCH.",
            f"""curl -si {users} -H "Authorization: Bearer {token}" -H 'X-Tenant: {other.tenant.slug}'""",
        ),
        Stop(
            "A signed request, and its replay: 200, then 401 REPLAYED_REQUEST.",
            f"""signed=$({sign}); for try in 1 2; do printf '%s\\n' "$signed" | curl -si {users} -H @-; echo; done""",
        ),
        Stop(
            f"A key of {suspended.tenant.slug}, which is suspended: 403 TENANT_SUSPENDED.",
            f"curl -si {users} -H 'X-Api-Key: {suspended.api_key}'",
        ),
        Stop(
            "Four requests where three a minute are allowed: 200, 200, 200, 429 with Retry-After.",
            f"for try in 1 2 3 4; do curl -si {url}/api/v1/analytics -H 'X-Api-Key: {own.api_key}'; echo; done",
        ),
    ]


def _command() -> str:
    """`tenantgate` by a path that works outside of its virtual environment."""
    script, python = Path(sys.executable).with_name("tenantgate"), shlex.quote(sys.executable)
    return shlex.quote(str(script)) if script.exists() else f"{python} -m gateway"
