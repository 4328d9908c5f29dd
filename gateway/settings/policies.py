"""A policy as it stands in a route: found by its name, its keys validated by its own `Config`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PolicyEntry(BaseModel):
    """`- tenant_match` or `- rate_limit: {rate: 5/second}`."""

    model_config = ConfigDict(frozen=True)

    name: str
    config: dict[str, object] = {}
