from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.client import Client
from gateway.store.embedded import EmbeddedServer, EmbeddedStoreError

# A gateway that holds an embedded store, says its server's process id, and goes on until it is told to end.
HOLDER = """
import asyncio, signal, sys
from pathlib import Path
from gateway.store.embedded import EmbeddedServer

async def main():
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    async with EmbeddedServer(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        end = loop.run_in_executor(None, sys.stdin.read)
        interrupt = asyncio.create_task(interrupted.wait())
        await asyncio.wait([end, interrupt], return_when=asyncio.FIRST_COMPLETED)
        if interrupted.is_set():
            print("interrupted, the store answers:", await server._answers(), flush=True)
        interrupt.cancel()
        await end

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int) -> bool:
    for _ in range(500):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def holder(directory: Path, **options: bool) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(directory)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        **options,
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


async def ask(server: EmbeddedServer, *command: str) -> object:
    client = Client(server.url, 5.0)
    try:
        return await client.command(*command)
    finally:
        await client.close()


async def test_data_are_kept_between_runs(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        await ask(server, "SET", "k", "v")
        pid = server.pid
    assert pid is not None
    assert not alive(pid)
    async with EmbeddedServer(tmp_path / "data") as server:
        assert await ask(server, "GET", "k") == b"v"


async def test_it_listens_on_its_socket_alone_and_keeps_every_write(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        for name, value in {
            "port": b"0",
            "appendonly": b"yes",
            "appendfsync": b"everysec",
            "maxmemory-policy": b"noeviction",
        }.items():
            assert await ask(server, "CONFIG", "GET", name) == [name.encode(), value]


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        await ask(server, "SET", "k", "v")
        for path in (tmp_path / "data", *(tmp_path / "data").rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_a_second_gateway_on_the_directory_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        with pytest.raises(EmbeddedStoreError, match=rf"in use by another gateway \(process {os.getpid()}\)"):
            await EmbeddedServer(tmp_path / "data").__aenter__()
        assert await ask(server, "PING") == b"PONG"


async def test_a_long_directory_gets_a_short_socket(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / ("d" * 120)) as server:
        assert await ask(server, "PING") == b"PONG"
        socket = Path(server.url.removeprefix("unix://"))
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()


async def test_a_server_that_dies_is_started_again_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        await ask(server, "SET", "k", "v")
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGTERM)
        client = Client(server.url, 5.0)
        for _ in range(500):
            await asyncio.sleep(0.02)
            if server.pid != first and await server._answers():
                break
        assert await client.command("GET", "k") == b"v"
        await client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
async def test_it_ends_with_a_gateway_that_is_killed_and_the_next_one_takes_over(tmp_path: Path) -> None:
    gateway, pid = await holder(tmp_path / "data")
    gateway.kill()
    await gateway.wait()
    async with EmbeddedServer(tmp_path / "data") as server:
        assert not alive(pid)
        assert await ask(server, "PING") == b"PONG"


async def test_it_survives_ctrl_c_in_the_terminal(tmp_path: Path) -> None:
    gateway, pid = await holder(tmp_path / "data", start_new_session=True)
    assert os.getpgid(pid) != os.getpgid(gateway.pid)
    assert os.getsid(pid) != os.getsid(gateway.pid)
    os.killpg(gateway.pid, signal.SIGINT)
    assert gateway.stdout is not None
    assert await gateway.stdout.readline() == b"interrupted, the store answers: True\n"
    await gateway.communicate(b"")
    assert gateway.returncode == 0
    assert await gone(pid)


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedStoreError, match=r"file/data"):
        await EmbeddedServer(tmp_path / "file" / "data").__aenter__()


async def test_a_server_that_cannot_read_its_data_says_so(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "data") as server:
        await ask(server, "SET", "k", "v")
    for path in (tmp_path / "data" / "appendonlydir").glob("*.aof"):
        path.write_bytes(b"nonsense")
    with pytest.raises(EmbeddedStoreError, match=r"(?s)ended with status 1.*Bad file format"):
        await EmbeddedServer(tmp_path / "data").__aenter__()
