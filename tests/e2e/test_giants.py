"""Bodies of a gigabyte pass both ways, and the worker holds little of them. What that costs is printed (`pytest -rP`)."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Self
from uuid import uuid4

import pytest

from .giants import MEGABYTE, Giant, framing, pour, read_head, swallow
from .oddities import CLOSE
from .stack import Customer, GatewayProcess, environment, provision
from .wire import eventually, head, open_to

GIGABYTE = 1 << 30
AT_THE_MOST = 16 * MEGABYTE
BODY_IDLE = 2.0  # seconds, as configured
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads memory and time from /proc")


@dataclass
class Cost:
    """Of a worker, while something goes on: seconds of its processor, and bytes that its memory grew by at the most."""

    gateway: GatewayProcess
    memory: int = 0
    processor: float = 0.0
    seconds: float = 0.0

    def __enter__(self) -> Self:
        # The peak is measured from now on.
        self._of("clear_refs").write_text("5")
        self._before = self._resident("VmRSS"), self._processor(), monotonic()
        return self

    def __exit__(self, *raised: object) -> None:
        resident, processor, begun = self._before
        self.memory, self.processor = self._resident("VmHWM") - resident, self._processor() - processor
        self.seconds = monotonic() - begun

    def _of(self, name: str) -> Path:
        return Path(f"/proc/{self.gateway.process.pid}/{name}")

    def _resident(self, what: str) -> int:
        return int(self._of("status").read_text().partition(f"{what}:")[2].split()[0]) << 10

    def _processor(self) -> float:
        fields = self._of("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    size: int
    up: bool
    down: bool
    chunked: bool

    def __str__(self) -> str:
        way = " and ".join(["up"] * self.up + ["down"] * self.down)
        return f"{self.size // MEGABYTE} MiB {way}, {'in chunks' if self.chunked else 'with a length'}"


@dataclass(frozen=True)
class Course:
    gateway: GatewayProcess
    giant: Giant
    customer: Customer

    def move(self, load: Load) -> None:
        """One request with a body as large as that, or answered with one, or both at once."""
        sent, self.giant.size = load.size * load.up, load.size * load.down
        at = f"/large/{'both' if load.up and load.down else 'one'}/{uuid4().hex}{'/chunked' * load.chunked}"
        line, fields = ("POST", [framing(sent, chunked=load.chunked)]) if load.up else ("GET", [])
        with open_to(self.gateway) as connection, connection.makefile("rb", MEGABYTE) as stream:
            connection.settimeout(120)
            connection.sendall(head(f"{line} {at} HTTP/1.1", self.customer, *fields, CLOSE))
            sending = threading.Thread(target=pour, args=[connection, sent], kwargs={"chunked": load.chunked and load.up})
            sending.start()
            answer = read_head(stream)
            assert answer[0] == b"http/1.1 200 ok"
            assert swallow(stream, answer) == self.giant.size
            sending.join()
        if load.up:
            assert self.giant.swallowed == sent


@pytest.fixture(scope="module")
def course(launch: Callable[..., GatewayProcess]) -> Iterator[Course]:
    giant = Giant(0)
    gateway = launch(giant.url, environment(), f"e2e-{uuid4().hex[:8]}")
    yield Course(gateway, giant, provision(gateway, f"t-{uuid4().hex[:12]}"))
    gateway.stop()
    giant.close()


SMALL = [
    Load(10 * MEGABYTE, *ways, chunked) for ways in ((False, True), (True, False), (True, True)) for chunked in (False, True)
]
LARGE = [Load(GIGABYTE, False, True, False), Load(GIGABYTE, True, False, False), Load(GIGABYTE, True, True, True)]


@pytest.mark.parametrize("load", [*SMALL, *(pytest.param(load, marks=pytest.mark.slow) for load in LARGE)], ids=str)
def test_a_huge_body_passes_in_little_memory(course: Course, load: Load) -> None:
    with Cost(course.gateway) as cost:
        course.move(load)
    total = load.size * (load.up + load.down) / MEGABYTE
    each = f"{total / cost.seconds:.0f} MiB/s, {cost.processor * 1000 / total:.2f} ms of the processor per MiB"
    print(f"{load}: {each}, {cost.memory / MEGABYTE:.1f} MiB of memory")
    assert cost.memory < AT_THE_MOST


@pytest.mark.slow
def test_many_large_bodies_at_once_pass_in_little_memory(course: Course) -> None:
    number, failed = 32, []

    def move() -> None:
        try:
            course.move(Load(10 * MEGABYTE, up=False, down=True, chunked=False))
        except BaseException as error:
            failed.append(error)

    with Cost(course.gateway) as cost:
        moving = [threading.Thread(target=move) for _ in range(number)]
        for one in moving:
            one.start()
        for one in moving:
            one.join()
    print(f"{number} x 10 MiB down at once: {cost.memory / MEGABYTE:.1f} MiB of memory")
    assert failed == []
    assert cost.memory < AT_THE_MOST


def reading(course: Course, stack: ExitStack, size: int = GIGABYTE, times: int = 1) -> socket.socket:
    """A client that has begun to read so much, and has asked for it so often ahead."""
    course.giant.size = size
    connection = stack.enter_context(open_to(course.gateway))
    connection.sendall(head(f"GET /large/one/{uuid4().hex} HTTP/1.1", course.customer) * times)
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


@pytest.mark.slow
def test_readers_that_stop_hold_little_memory_and_nobody_else(course: Course) -> None:
    number = 32
    with ExitStack() as stack, Cost(course.gateway) as cost:
        for _ in range(number):
            reading(course, stack)
        course.move(Load(10 * MEGABYTE, up=True, down=False, chunked=False))
    print(f"{number} readers of 1 GiB that have stopped: {cost.memory / MEGABYTE / number:.1f} MiB of memory each")
    assert cost.memory < number * AT_THE_MOST


@pytest.mark.slow
def test_a_reader_that_is_slow_but_does_not_stop_is_served(course: Course) -> None:
    """Half a megabyte in a second: a few seconds of it fit between two times that the system takes more from the worker."""
    with ExitStack() as stack:
        connection = reading(course, stack)
        until = monotonic() + 6 * BODY_IDLE
        while monotonic() < until:
            assert connection.recv(MEGABYTE // 40), "the connection was closed"
            sleep(0.05)


@pytest.mark.slow
def test_a_reader_that_has_stopped_is_dropped_and_its_upstream_too(course: Course) -> None:
    with ExitStack() as stack:
        connection = reading(course, stack)
        assert eventually(lambda: course.giant.answering == 0, within=5 * BODY_IDLE)
        received = 0
        with suppress(ConnectionError):
            while piece := connection.recv(MEGABYTE):
                received += len(piece)
        assert received < GIGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, MEGABYTE, 10 * MEGABYTE], ids=str)
def test_answers_to_requests_that_were_sent_ahead_wait_until_they_are_read(course: Course, size: int) -> None:
    with ExitStack() as stack, Cost(course.gateway) as cost:
        reading(course, stack, size, times=100)
        sleep(BODY_IDLE / 2)
    print(f"100 answers of {size / MEGABYTE:.0f} MiB that nobody reads: {cost.memory / MEGABYTE:.1f} MiB of memory")
    assert cost.memory < AT_THE_MOST
