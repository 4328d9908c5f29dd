"""`tenantgate plans`: what the plans of a running gateway hold."""

from __future__ import annotations

from .calling import ADMIN, AdminKeyFile, AdminUrl, Output, OutputForm, ask_operator, show_all


def plans(admin_url: AdminUrl = ADMIN, admin_key_file: AdminKeyFile = None, output: OutputForm = Output.TABLE) -> None:
    """List the plans of a running gateway: TENANTGATE_ADMIN_KEY holds an admin key."""
    found = ask_operator(lambda operator: operator.plans(), admin_url, admin_key_file)
    caps = [name for name in dict.fromkeys(name for plan in found for name in plan) if name.startswith("monthly_")]
    show_all(found, ("plan", "rate_limit", "concurrency", *caps, "features"), output)
