"""Figures come from the real command, and none comes from a run that did not do what it says."""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import repeat
from xml.etree import ElementTree

import pytest

from bench.figures import store_calls
from bench.figures.load import Load, UnexpectedAnswer
from bench.figures.plot import Plot
from bench.figures.store_counters import Counters
from bench.figures.table import table
from bench.figures.upstream import serving

GET = b"GET / HTTP/1.1\r\nHost: tiny\r\n\r\n"


async def test_every_request_is_sent_once_and_its_answer_counted():
    async with serving() as upstream, Load(upstream.url, 8) as load:
        for count in (100, 3):
            answers = await load.run(repeat(GET, count))
            assert (answers.statuses, len(answers.took)) == ({200: count}, count)
        assert upstream.hits == 103


async def test_requests_are_sent_no_sooner_than_they_are_due():
    async with serving() as upstream, Load(upstream.url, 8) as load:
        started = time.monotonic()
        await load.run(repeat(GET, 20), rate=200)
        assert time.monotonic() - started >= 19 / 200
        assert upstream.hits == 20


async def test_a_connection_that_ends_ends_the_load():
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Load(url, 2) as load:
            with pytest.raises(UnexpectedAnswer, match="closed a connection"):
                await load.run(repeat(GET, 10))


async def test_an_unused_connection_that_ends_is_made_again():
    ended: asyncio.Queue[None] = asyncio.Queue()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.read(1000)).endswith(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        ended.put_nowait(None)

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Load(url, 1) as load:
            for _ in range(2):
                assert (await load.run([GET])).statuses == {200: 1}
                await ended.get()
                await asyncio.sleep(0.05)
        await ended.get()


async def test_of_the_stores_counters_the_asking_itself_is_not_counted(store):
    await store.control.command("PING")
    before = await Counters.of(store.control)
    for _ in range(5):
        await store.control.command("EVAL", "redis.call('GET', KEYS[1]) return redis.call('GET', KEYS[1])", 1, "nothing")
    done = (await Counters.of(store.control)).since(before)
    assert (done.scripts, done.reads, done.commands) == (5, 5, 15)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_hot_tenants_are_measured_by_the_real_command(monkeypatch):
    monkeypatch.setattr(store_calls, "_WARM", 0.1)
    text, (plot,) = await store_calls.hot_tenants(workers=2, seconds=0.3, counts=(1, 2))
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in text.splitlines()[2:]]
    assert rows == [["lazy", "1"], ["lazy", "2"], ["delivered", "1"], ["delivered", "2"]]
    assert all(len(points) == 2 for points in plot.series.values())


def test_a_plot_is_xml_with_a_point_for_each_value_below_the_highest_tick():
    svg = Plot("a < b", "tenants", "MiB", {"worker": [(0, 61.5), (1000, 70.0), (100_000, 130.2)]}).svg()
    circles = [node for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("circle")]
    heights = [float(node.attrib["cy"]) for node in circles]
    assert len(circles) == 3
    assert heights == sorted(heights, reverse=True)
    assert min(heights) >= 50


def test_a_table_stands_in_columns():
    assert table(("what", "n"), [("a", "1"), ("longer", "1,000")]).splitlines() == [
        "| what   |     n |",
        "|--------|------:|",
        "| a      |     1 |",
        "| longer | 1,000 |",
    ]
