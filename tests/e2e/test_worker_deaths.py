"""What a worker held comes back when it dies, and when it comes back itself it takes nothing from others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from bench.faults.stack import Stack, running

from .stack import Customer
from .stage import OK, PATIENCE, Connection, Stage, asking, comes_back, is_admitted
from .test_lifecycle import eventually, linux

pytestmark = linux

LEASE = 5.0  # seconds


@pytest.fixture(scope="module")
def whole(door: socket.socket) -> Iterator[Stack]:
    timeouts = {f"TENANTGATE__UPSTREAMS__RECORDER__TIMEOUTS__{name}": f"{PATIENCE}s" for name in ("FIRST_BYTE", "IDLE")}
    with running(
        TENANTGATE__STORE__DEADLINE="5s", TESTS_UPSTREAM=f"http://127.0.0.1:{door.getsockname()[1]}", **timeouts
    ) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Stack:
    eventually(whole.is_whole)
    return whole


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return stack.customer()


def worker_of(stack: Stack, port: int) -> int:
    """Process id of the worker that a client's connection, by the port of its end, has reached."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    public = int(stack.gateway.public_url.rpartition(":")[2])
    (inode,) = [line[9] for line in lines if line[1].endswith(f":{public:04X}") and line[2].endswith(f":{port:04X}")]
    (pid,) = [pid for pid in stack.pids() if f"socket:[{inode}]" in map(os.readlink, Path(f"/proc/{pid}/fd").iterdir())]
    return pid


async def admitted_within(stack: Stack, customer: Customer, seconds: float) -> None:
    """Raises TimeoutError unless a request to the route of one slot passes by then."""
    async with asyncio.timeout(seconds):
        while not await is_admitted(stack.gateway, customer):
            await asyncio.sleep(0.05)


async def reaches(stage: Stage, client: Connection) -> Connection | None:
    """The upstream's end of a client's request; None where the gateway has refused it."""
    reached, refused = asyncio.create_task(stage.next()), asyncio.create_task(client.until(b"\r\n\r\n"))
    done, late = await asyncio.wait({reached, refused}, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return reached.result() if reached in done else None


async def test_the_slot_of_a_killed_worker_comes_back_with_its_lease(stack: Stack, customer: Customer, stage: Stage) -> None:
    async with asking(stack.gateway, customer, f"/single/{uuid4().hex}") as client:
        await stage.next()
        assert not await is_admitted(stack.gateway, customer)
        os.kill(worker_of(stack, client.port), signal.SIGKILL)
        assert not await is_admitted(stack.gateway, customer), "nobody knows yet that it died"
        await admitted_within(stack, customer, LEASE + 1)


async def test_the_slot_of_a_client_that_went_away_comes_back_at_once_on_all_workers(
    stack: Stack, customer: Customer, stage: Stage
) -> None:
    async with asking(stack.gateway, customer, f"/single/{uuid4().hex}"):
        await stage.next()
        assert not await is_admitted(stack.gateway, customer)
    await comes_back(stack.gateway, customer)


async def test_a_worker_that_stood_still_for_longer_than_its_lease_frees_nobody_elses_slot(
    stack: Stack, customer: Customer, stage: Stage
) -> None:
    async with asking(stack.gateway, customer, f"/single/{uuid4().hex}") as first:
        first_at_upstream = await stage.next()
        stopped = worker_of(stack, first.port)
        os.kill(stopped, signal.SIGSTOP)
        try:
            await admitted_within(stack, customer, LEASE + 1)
            # The slot of the request that found it free may come back just after its answer.
            held = False
            while not held:
                async with asking(stack.gateway, customer, f"/single/{uuid4().hex}") as second:
                    if beyond := await reaches(stage, second):
                        held = True
                        os.kill(stopped, signal.SIGCONT)
                        await first_at_upstream.say(OK)
                        assert (await first.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                        # Its slot, another's by now, would have been given back in this time.
                        for _ in range(20):
                            assert not await is_admitted(stack.gateway, customer)
                            await asyncio.sleep(0.05)
                        await beyond.say(OK)
                        assert (await second.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        finally:
            os.kill(stopped, signal.SIGCONT)
    await comes_back(stack.gateway, customer)
