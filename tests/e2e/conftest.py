from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gateway.clock import SystemClock
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.keys import Keys
from gateway.registry.records import Records
from gateway.registry.shelf import Shelf
from gateway.store.connect import Store
from gateway.tenancy.org import Organization

from .recorder import Recorder
from .stack import ADMIN_KEY, Customer, GatewayProcess, environment, provision
from .stage import PATIENCE, Stage

CONFIG = Path(__file__).with_name("gateway.yaml")


@dataclass(frozen=True)
class World:
    """One gateway, its store and its upstream, shared by the tests of a worker; every test makes its own tenants."""

    gateway: GatewayProcess
    upstream: Recorder
    store_url: str
    prefix: str
    environ: dict[str, str]

    def customer(self, plan: str = "free", **fields: object) -> Customer:
        return provision(self.gateway, f"t-{uuid4().hex[:12]}", plan, **fields)

    def mint(self, owner: str, scopes: frozenset[str] = frozenset({"read:things"}), **fields: object) -> str:
        """An API key of a tenant (by id) or of an organization (by name): what a platform's tooling does in the registry."""
        return asyncio.run(self._mint(owner, scopes, **fields))

    async def _mint(self, owner: str, scopes: frozenset[str], **fields: object) -> str:
        store = Store(self.store_url, prefix=self.prefix, deadline=5)
        orgs = {"main": Organization("main", default_plan="free")}
        shelf = Shelf(store, Cipher(self.environ["TESTS_ENCRYPTION_KEY"]), orgs)
        clock = SystemClock()
        keys = Keys(Changes(shelf, Records(shelf, clock), clock), "tg")
        minted = await keys.mint(UUID(owner) if "-" in owner else owner, "test", scopes, created_by="tests", **fields)  # type: ignore[arg-type]
        await store.close()
        return minted.text


@pytest.fixture(scope="session")
def launch(store_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways on the worker's store; whatever is still running at the end is stopped."""
    running: list[GatewayProcess] = []

    def start(upstream: str, environ: dict[str, str], prefix: str, config: Path = CONFIG) -> GatewayProcess:
        variables = {
            **environ,
            "TESTS_STORE_URL": f"unix://{store_socket}",
            "TESTS_PREFIX": prefix,
            "TESTS_UPSTREAM": upstream,
            "TESTS_ADMIN_KEY": ADMIN_KEY,
        }
        gateway = GatewayProcess(config, tmp_path_factory.mktemp("gateway"), variables)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.stop()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="session")
def world(launch: Callable[..., GatewayProcess], upstream: Recorder, store_socket: Path) -> World:
    environ, prefix = environment(), f"e2e-{uuid4().hex[:8]}"
    return World(launch(upstream.url, environ, prefix), upstream, f"unix://{store_socket}", prefix, environ)


@pytest.fixture(scope="session")
def door() -> Iterator[socket.socket]:
    """Where the upstream of `patient` listens, whoever serves there: the gateway knows one address, each test its own loop."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door


@pytest.fixture(scope="session")
def patient(launch: Callable[..., GatewayProcess], door: socket.socket) -> GatewayProcess:
    """A gateway that lets its upstream take the time that a test takes."""
    timeouts = {f"TENANTGATE__UPSTREAMS__RECORDER__TIMEOUTS__{name}": f"{PATIENCE}s" for name in ("FIRST_BYTE", "IDLE")}
    return launch(f"http://127.0.0.1:{door.getsockname()[1]}", environment() | timeouts, f"e2e-{uuid4().hex[:8]}")


@pytest.fixture
def customer(patient: GatewayProcess) -> Customer:
    """A tenant of `patient`."""
    return provision(patient, f"t-{uuid4().hex[:12]}")


@pytest.fixture
async def stage(door: socket.socket) -> AsyncIterator[Stage]:
    """The upstream of `patient`, as the test plays it."""
    stage = Stage()
    server = await asyncio.start_server(stage.connected, sock=door.dup(), limit=1 << 20)
    yield stage
    server.close()
    stage.close()
