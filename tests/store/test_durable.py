"""What a wait for the store's disk promises, against real servers that keep their data in different ways."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.errors import WRITE_NOT_DURABLE, Refused
from gateway.settings.schema import StoreSettings
from gateway.store import durable
from gateway.store.client import Client
from gateway.store.connect import Store, open_store
from gateway.store.durable import Durable
from tests.store.server import OwnServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnServer]:
    with OwnServer(tmp_path) as server:
        yield server


@pytest.fixture
async def kept(server: OwnServer) -> AsyncIterator[Store]:
    store = Store(server.url, prefix="t", deadline=5.0)
    yield store
    await store.close()


async def waits(client: Client) -> int:
    """How many WAITAOF the server has counted."""
    reply = await client.command("INFO", "commandstats")
    assert isinstance(reply, bytes)
    for line in reply.decode().splitlines():
        if line.startswith("cmdstat_waitaof:"):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0


async def test_a_write_that_was_waited_for_outlives_the_servers_death(server, kept):
    await kept.control.command("SET", "k", "v")
    await kept.durable.wait()
    server.kill()
    server.start()
    again = Store(server.url, prefix="t", deadline=5.0)
    assert await again.control.command("GET", "k") == b"v"
    await again.close()


async def test_all_who_wait_at_once_share_one_wait(kept):
    await kept.durable.wait()
    before = await waits(kept.control)
    await asyncio.gather(*(kept.durable.wait() for _ in range(100)))
    assert await waits(kept.control) - before == 1


async def test_who_comes_while_a_wait_runs_gets_the_next_one(kept):
    await kept.durable.wait()
    before = await waits(kept.control)
    first = asyncio.create_task(kept.durable.wait())
    # One turn of the loop to ask for a round, one for the round to begin.
    for _ in range(2):
        await asyncio.sleep(0)
    assert kept.durable._running is not None
    assert not first.done()
    await asyncio.gather(first, *(kept.durable.wait() for _ in range(100)))
    assert await waits(kept.control) - before == 2


async def test_a_store_that_does_not_answer_is_told_within_the_deadline(kept, tmp_path):
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hole = await asyncio.start_unix_server(swallow, tmp_path / "hole")
    durable = Durable(f"unix://{tmp_path}/hole", "k", deadline=0.2)
    started = asyncio.get_running_loop().time()
    with pytest.raises(Refused) as refused:
        await durable.wait()
    assert refused.value.problem is WRITE_NOT_DURABLE
    assert asyncio.get_running_loop().time() - started < 2
    await durable.close()
    hole.close()


async def test_a_store_that_does_not_sync_is_told(server, kept, caplog):
    durable = Durable(server.url, "k", deadline=2.0)
    await durable.wait()
    await kept.control.command("CONFIG", "SET", "appendfsync", "no")
    with pytest.raises(Refused) as refused:
        await durable.wait()
    assert refused.value.problem is WRITE_NOT_DURABLE
    assert "did not sync in time" in caplog.text
    await durable.close()


async def test_a_store_that_is_gone_is_told_and_one_that_came_back_is_used_again(server, kept):
    await kept.durable.wait()
    server.kill()
    with pytest.raises(Refused) as refused:
        await kept.durable.wait()
    assert refused.value.problem is WRITE_NOT_DURABLE
    server.start()
    await kept.durable.wait()


async def test_a_store_that_syncs_at_each_write_falls_short_of_nothing(kept, caplog):
    assert await kept.durable.shortfall() == ""
    assert caplog.records == []


@pytest.mark.parametrize(
    ("aof", "fsync", "words"),
    [(False, "always", "append-only file"), (True, "no", "appendfsync no"), (True, "everysec", "once a second")],
)
async def test_a_store_that_can_lose_writes_is_said_once_and_serves_on(tmp_path, caplog, aof, fsync, words):
    caplog.set_level(logging.WARNING)
    with OwnServer(tmp_path, aof=aof, fsync=fsync) as server:
        store = Store(server.url, prefix="t", deadline=5.0)
        assert words in await store.durable.shortfall()
        await store.durable.wait()
        server.kill()
        assert store.durable._wire is not None
        await store.durable._wire.closed
        server.start()
        await store.durable.wait()
        await store.close()
    assert len([record for record in caplog.records if words in record.getMessage()]) == 1


async def test_where_durability_is_required_a_store_without_it_fails_the_wait(store_url):
    store = Store(store_url, prefix="t", deadline=5.0, require_durable=True)
    with pytest.raises(Refused):
        await store.durable.wait()
    await store.close()


async def test_a_store_out_of_reach_falls_short_of_nothing_yet(tmp_path):
    store = Store(f"unix://{tmp_path}/none", prefix="t", deadline=5.0)
    assert await store.durable.shortfall() == ""
    await store.close()


async def test_the_embedded_store_syncs_each_write_that_is_waited_for(tmp_path, monkeypatch):
    synced: list[str] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(durable.os, "fsync", watch)
    async with open_store(StoreSettings(data_dir=tmp_path / "store")) as store:
        assert await store.durable.shortfall() == ""
        for turn in range(3):
            synced.clear()
            await store.control.command("SET", "k", f"value-{turn}")
            await store.durable.wait()
            written = [
                path for path in (tmp_path / "store/appendonlydir").iterdir() if f"value-{turn}".encode() in path.read_bytes()
            ]
            assert [path.name for path in written if path.name in synced] == [path.name for path in written] != []
