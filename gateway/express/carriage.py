"""What requests are carried with."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.proxy import Proxy
from gateway.transaction import Machine

from .flow import Flows


@dataclass(frozen=True, slots=True)
class Carriage:
    """What requests are carried with. `proxy` takes what callbacks don't carry; `flows` learns what may come again."""

    machine: Machine
    proxy: Proxy
    flows: Flows
