"""What the faults happen to: `tenantgate serve` with several workers, its store behind a link, and its upstream."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from tests.e2e.recorder import Recorder
from tests.e2e.stack import ADMIN_KEY, Customer, GatewayProcess, environment, provision

from .link import Link
from .server import Server

WORKERS = 4
DEADLINE = "50ms"  # of a question to the store: what the gateway has by itself
_PREFIX = "faults"
_CONFIG = Path(__file__).parents[2] / "tests/e2e/gateway.yaml"


@dataclass
class Stack:
    """`server` is asked directly, past the link, for what is counted."""

    directory: Path
    server: Server
    link: Link
    upstream: Recorder
    gateway: GatewayProcess
    workers: int

    def customer(self, **fields: object) -> Customer:
        return provision(self.gateway, f"t-{uuid4().hex[:12]}", **fields)  # type: ignore[arg-type]

    def bearer(self, customer: Customer) -> dict[str, str]:
        """Of a token that outlasts the longest run."""
        return customer.bearer(exp=int(time.time()) + 7200)

    async def used(self, customer: Customer, server: Server | None = None) -> int:
        """Messages of this month that are counted for a tenant."""
        store = Store((server or self.server).url, prefix=_PREFIX, deadline=5)
        try:
            counted = await Usage(store).of_tenant(UUID(customer.id), datetime.now(UTC).strftime("%Y-%m"))
        finally:
            await store.close()
        return counted.get("messages", 0)

    def pids(self) -> list[int]:
        """Process ids of the workers, those that are just starting included."""
        children = Path(f"/proc/{self.gateway.process.pid}/task/{self.gateway.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if _is_worker(pid)]

    def is_whole(self) -> bool:
        """Whether all workers serve."""
        return (
            len(self.pids()) == self.workers and self.gateway.admin.get(self.gateway.admin_url + "/readyz").status_code == 200
        )


@contextmanager
def running(workers: int = WORKERS, **environ: str) -> Iterator[Stack]:
    """A gateway that serves, under the usual deadlines. `environ` are further variables of it."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        server = Server(directory / "store")
        stack.callback(server.end)
        link = Link(server.address)
        stack.callback(link.close)
        upstream = Recorder()
        stack.callback(upstream.close)
        variables = {
            **environment(),
            "TESTS_UPSTREAM": upstream.url,
            "TESTS_STORE_URL": link.url,
            "TESTS_PREFIX": _PREFIX,
            "TESTS_ADMIN_KEY": ADMIN_KEY,
            "TENANTGATE__STORE__DEADLINE": DEADLINE,
            "TENANTGATE_WORKERS": str(workers),
            **environ,
        }
        gateway = GatewayProcess(_CONFIG, directory / "gateway", variables)
        stack.callback(gateway.stop)
        yield Stack(directory, server, link, upstream, gateway, workers)


def _is_worker(pid: int) -> bool:
    try:
        return b"gateway.workers" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
