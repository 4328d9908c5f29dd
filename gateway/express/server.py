"""The public listener's server: requests whose head was seen before take the short cut, all others are walked."""

from __future__ import annotations

from gateway.edge.connection import ClientConnection
from gateway.edge.handler import Handler
from gateway.edge.head import Head, read_head
from gateway.proxy import Proxy
from gateway.transaction import Machine

from .carriage import Carriage
from .flow import Flow, Flows
from .passage import Passage
from .repeat import Repeat


class Express:
    """`proxy` carries what callbacks do not."""

    def __init__(self, machine: Machine, proxy: Proxy) -> None:
        self.machine = machine
        self.body_idle = machine.body_idle
        self._flows = Flows(machine)
        self.recall = self._flows.recall
        self._carriage = Carriage(machine, proxy, self._flows)

    def serve(self, connection: ClientConnection, head: Head, body: bytes | None, block: bytes) -> Handler | None:
        if isinstance(head, Flow):
            if body is not None and Repeat(self._carriage, connection, head, body, block).begin():
                return connection.handler
            head = read_head(block)
        return Passage(self._carriage, connection, head, body, block).begin()
