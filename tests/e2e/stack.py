"""A gateway as users run it: the real command, in processes of its own, before a real upstream and on a real store."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

ADMIN_KEY = "ops-" + "k" * 40
JWT_SECRET = "j" * 64  # of the tests' issuer only


class GatewayProcess:
    """`tenantgate serve`, ready to answer. `output` is all that it has written, log lines included."""

    def __init__(self, config: Path, directory: Path, environ: dict[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        ready, self._output = directory / "ready.json", directory / "output.txt"
        ready.unlink(missing_ok=True)
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "-c", str(config), "--ready-file", str(ready)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
            )
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        urls = json.loads(ready.read_text())
        self.public_url, self.admin_url = urls["public_url"], urls["admin_url"]
        self.public = httpx.Client(base_url=self.public_url, trust_env=False, timeout=20)
        self.admin = httpx.Client(
            base_url=self.admin_url + "/api/v1", headers={"X-Admin-Key": ADMIN_KEY}, trust_env=False, timeout=20
        )

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log lines, one each for a request."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == "request"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.public.close()
        self.admin.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(40)


@dataclass(frozen=True)
class Customer:
    """A tenant with every kind of credential that it can have."""

    id: str
    slug: str
    secret: str
    widget_key: str
    origin: str

    def token(self, **claims: object) -> str:
        now = int(time.time())
        base = {"sub": "user-1", "tenant": self.slug, "role": "manager", "iat": now, "exp": now + 300, "iss": "tests"}
        return jwt.encode({**base, **claims}, JWT_SECRET, algorithm="HS256")

    def bearer(self, **claims: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**claims)}", "X-Tenant": self.slug}


def provision(gateway: GatewayProcess, slug: str, plan: str = "free", **fields: object) -> Customer:
    """Through the operator API, as an operator would."""
    origin = f"https://{slug}.example"
    answer = gateway.admin.post(
        "/provision/tenant", json={"name": slug.title(), "slug": slug, "plan_tier": plan, "origins": [origin], **fields}
    )
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return Customer(data["tenant_id"], slug, data["tenant_secret"], data["widget_public_key"], origin)


def environment() -> dict[str, str]:
    return {"TESTS_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(), "TESTS_JWT_SECRET": JWT_SECRET}
