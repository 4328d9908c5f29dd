"""`python -m gateway` is the command `tenantgate`."""

from __future__ import annotations

from gateway.cli import app

app(prog_name="tenantgate")
