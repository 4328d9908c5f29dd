"""How the gateway starts, ends and starts again, with the store that it brings along."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from .conftest import CONFIG
from .recorder import Recorder, Seen, json_answer
from .stack import ADMIN_KEY, GatewayProcess, environment, provision

linux = pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals and /proc are Linux's")


@pytest.fixture
def variables(upstream: Recorder, tmp_path: Path) -> dict[str, str]:
    return environment_of(upstream, tmp_path)


def environment_of(upstream: Recorder, directory: Path) -> dict[str, str]:
    """Variables of a gateway with a store of its own."""
    return {
        **environment(),
        "TESTS_UPSTREAM": upstream.url,
        "TESTS_STORE_URL": "embedded",
        "TENANTGATE__STORE__DATA_DIR": str(directory / "store"),
        "TESTS_PREFIX": "e2e",
        "TESTS_ADMIN_KEY": ADMIN_KEY,
    }


@contextmanager
def running(variables: dict[str, str], directory: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(CONFIG, directory, variables)
    try:
        yield gateway
    finally:
        gateway.stop(signal.SIGKILL)


def failed_start(variables: dict[str, str | None], config: Path = CONFIG) -> str:
    """What a gateway says that does not start. A variable of None is not set."""
    environ = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    command = [sys.executable, "-m", "gateway", "serve", "-c", str(config)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def stores(directory: Path) -> set[int]:
    """Process ids of the store's servers whose files are in `directory`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, state = (process / "cmdline").read_bytes().split(b"\0"), (process / "stat").read_text().rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"valkey-server" in words[0] and f"{directory}/store.sock".encode() in b" ".join(words) and state.split()[0] != "Z":
            found.add(int(process.name))
    return found


class Held:
    """An upstream that begins to answer a request when it is told to."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._recorder.responses["/open/held"] = self._respond
        self._entered, self._released = threading.Event(), threading.Event()
        self._clients = ThreadPoolExecutor(1)

    @property
    def url(self) -> str:
        return self._recorder.url

    def ask(self, gateway: GatewayProcess) -> Future[httpx.Response]:
        """The answer to a request that has reached the upstream."""
        answer = self._clients.submit(gateway.public.get, "/open/held")
        assert self._entered.wait(20)
        return answer

    def release(self) -> None:
        self._released.set()

    def close(self) -> None:
        self.release()
        self._clients.shutdown()
        self._recorder.close()

    def _respond(self, seen: Seen) -> bytes:
        self._entered.set()
        assert self._released.wait(40)
        return json_answer({"held": True})


@contextmanager
def holding() -> Iterator[Held]:
    held = Held()
    try:
        yield held
    finally:
        held.close()


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def test_all_that_was_told_to_it_is_there_after_a_restart(variables: dict[str, str], tmp_path: Path) -> None:
    at = f"/metered/{uuid4().hex}"
    with running(variables, tmp_path) as gateway:
        customer = provision(gateway, "acme", "small")
        for _ in range(2):
            assert gateway.public.get(at, headers=customer.bearer()).status_code == 200
        suspended = provision(gateway, "globex")
        assert gateway.admin.post("/suspend/tenant", params={"tenant_id": suspended.id}).status_code == 200
        assert gateway.stop() == 0
    with running(variables, tmp_path) as gateway:
        data = gateway.admin.get("/fetch/tenant", params={"tenant_id": customer.id}).json()["data"]
        assert data["slug"] == "acme"
        plain = gateway.public.get("/api/x", headers={"X-Widget-Key": customer.widget_key, "Origin": customer.origin})
        assert plain.status_code == 200, plain.text
        assert gateway.public.get("/api/x", headers=suspended.bearer()).json()["code"] == "TENANT_SUSPENDED"
        statuses = [gateway.public.get(at, headers=customer.bearer()).status_code for _ in range(2)]
        assert statuses == [200, 429], "the quota of 3 was forgotten"


@linux
def test_a_second_one_on_the_same_directory_is_refused_and_told_by_whom(variables: dict[str, str], tmp_path: Path) -> None:
    with running(variables, tmp_path) as gateway:
        said = failed_start(variables)
        assert f"in use by another gateway (process {gateway.process.pid})" in said
        assert str(tmp_path / "store") in said
        assert gateway.public.get("/open/x").status_code == 200
        assert len(stores(tmp_path / "store")) == 1


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_in_flight_finish_and_leaves_nothing_behind(
    variables: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with holding() as held, running({**variables, "TESTS_UPSTREAM": held.url}, tmp_path) as gateway:
        ready = f"{gateway.admin_url}/readyz"
        assert httpx.get(ready, trust_env=False).status_code == 200
        asking = held.ask(gateway)
        gateway.process.send_signal(number)
        eventually(lambda: httpx.get(ready, trust_env=False).status_code == 503)
        eventually(lambda: not accepts(gateway.public_url))
        assert httpx.get(f"{gateway.admin_url}/livez", trust_env=False).status_code == 200
        assert len(stores(tmp_path / "store")) == 1, "the store ended before the request"
        held.release()
        answer = asking.result(20)
        assert (answer.status_code, answer.json()) == (200, {"held": True})
        assert gateway.process.wait(20) == 0
        assert stores(tmp_path / "store") == set()


def accepts(url: str) -> bool:
    """Whether somebody listens there."""
    address = httpx.URL(url)
    try:
        socket.create_connection((address.host, address.port or 80), timeout=5).close()
    except ConnectionError:
        return False
    return True


@linux
def test_what_does_not_finish_is_refused_when_the_drain_is_over(variables: dict[str, str], tmp_path: Path) -> None:
    short = {"TENANTGATE__LISTENERS__PUBLIC__DRAIN": "1s", "TENANTGATE__UPSTREAMS__RECORDER__TIMEOUTS__FIRST_BYTE": "60s"}
    with holding() as held, running({**variables, **short, "TESTS_UPSTREAM": held.url}, tmp_path) as gateway:
        asking = held.ask(gateway)
        gateway.process.send_signal(signal.SIGTERM)
        answer = asking.result(20)
        assert (answer.status_code, answer.json()["code"]) == (503, "SHUTTING_DOWN")
        assert gateway.process.wait(20) == 0
        assert stores(tmp_path / "store") == set()
        assert "Traceback" not in gateway.output
        assert [line["status"] for line in gateway.log] == [503]


@linux
def test_a_tunnel_is_told_that_the_gateway_restarts(variables: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, serve(echo, sock=listening) as server:
        threading.Thread(target=server.serve_forever).start()
        at = {"TESTS_UPSTREAM": f"http://127.0.0.1:{listening.getsockname()[1]}"}
        with running({**variables, **at}, tmp_path) as gateway:
            customer = provision(gateway, "acme")
            url = gateway.public_url.replace("http", "ws") + "/single/socket"
            with connect(url, additional_headers=customer.bearer(), proxy=None) as client:
                client.send("there")
                assert client.recv() == "there"
                gateway.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed):
                    client.recv(20)
                assert client.protocol.close_code == CloseCode.SERVICE_RESTART
            assert gateway.process.wait(20) == 0
            assert "Traceback" not in gateway.output
        server.shutdown()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@linux
def test_killed_it_takes_its_store_along_and_the_next_one_starts(variables: dict[str, str], tmp_path: Path) -> None:
    with running(variables, tmp_path) as gateway:
        customer = provision(gateway, "acme")
        assert len(stores(tmp_path / "store")) == 1
        gateway.stop(signal.SIGKILL)
    with running(variables, tmp_path) as gateway:  # At once: it waits for the old store to have written its data.
        assert len(stores(tmp_path / "store")) == 1
        assert gateway.public.get("/api/x", headers=customer.bearer()).status_code == 200
        gateway.stop(signal.SIGKILL)
    eventually(lambda: stores(tmp_path / "store") == set())


@linux
@pytest.mark.parametrize("listener", ["PUBLIC", "ADMIN"])
def test_an_address_in_use_is_named(variables: dict[str, str], tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failed_start({**variables, f"TENANTGATE__LISTENERS__{listener}__PORT": str(port)})
    assert "127.0.0.1" in said
    assert str(port) in said
    assert "in use" in said
    assert stores(tmp_path / "store") == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"TESTS_ENCRYPTION_KEY": None}, ["gateway.yaml:8:", "TESTS_ENCRYPTION_KEY"], id="unset"),
        pytest.param({"TESTS_ENCRYPTION_KEY": ""}, ["secrets.encryption_key", "openssl rand"], id="empty"),
        pytest.param({"TESTS_ENCRYPTION_KEY": "c2hvcnQ="}, ["gateway.yaml:8:", "32 bytes"], id="short"),
        pytest.param({"TESTS_ADMIN_KEY": "weak"}, ["gateway.yaml:9:", "at least 32"], id="weak-admin-key"),
    ],
)
def test_what_it_needs_and_does_not_get_is_named(
    variables: dict[str, str], changed: dict[str, str | None], expected: list[str]
) -> None:
    said = failed_start({**variables, **changed})
    assert [part for part in expected if part not in said] == []
    assert all(value not in said for name, value in variables.items() if name.endswith(("_KEY", "_SECRET")))


def test_a_wrong_configuration_is_told_by_file_line_and_column(variables: dict[str, str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CONFIG.read_text().replace("- tenant_status\n", "- tenant_statuses\n", 1))
    line = wrong.read_text().partition("- tenant_statuses")[0].count("\n") + 1
    said = failed_start(variables, wrong)
    assert f"{wrong}:{line}:9: " in said
    assert "Did you mean tenant_status?" in said
    assert not (tmp_path / "store").exists(), "it began before it knew what to do"
