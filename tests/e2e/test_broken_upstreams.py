"""An upstream that dies, that closes under a request, or whose answer two readers could understand differently."""

from __future__ import annotations

from uuid import uuid4

import pytest

from .oddities import CHUNKED, CLOSE, FIVE
from .stack import Customer, GatewayProcess
from .stage import OK, Connection, Stage, chunk, connected
from .wire import Reply, head, parse

KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END = b"\r\n\r\n"


async def answer_to(client: Connection) -> Reply:
    (reply,) = parse(await client.rest())
    return reply


def asking(customer: Customer, method: str = "GET", *fields: bytes) -> bytes:
    return head(f"{method} /api/{uuid4().hex} HTTP/1.1", customer, *fields)


def end(call: Connection, *, reset: bool) -> None:
    (call.drop if reset else call.close)()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=repr
)
async def test_an_upstream_that_dies_before_its_head_is_502(
    patient: GatewayProcess, customer: Customer, stage: Stage, said: bytes, reset: bool
) -> None:
    async with connected(patient, asking(customer, "POST", FIVE, CLOSE), b"hello") as client:
        call = await stage.next()
        await call.exactly(5)
        await call.say(said)
        end(call, reset=reset)
        reply = await answer_to(client)
    assert (reply.status, reply.problem["code"]) == (502, "UPSTREAM_CLOSED")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("said", "clean"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"0123456789"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", b"0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", b"0\r\n\r\n"),
    ],
    ids=repr,
)
async def test_an_upstream_that_dies_within_its_answer_never_ends_it_cleanly(
    patient: GatewayProcess, customer: Customer, stage: Stage, said: bytes, clean: bytes, reset: bool
) -> None:
    async with connected(patient, asking(customer)) as client:
        call = await stage.next()
        await call.say(said)
        await client.until(b"half")
        end(call, reset=reset)
        rest = await client.rest()
    assert not rest.endswith(clean)
    assert len(rest) < 6


async def test_a_client_of_http_1_0_is_told_by_a_reset_that_an_answer_broke_off(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    """To whom the end of the connection is the end of the body, a half one must not end so. Chunks are unknown to it."""
    async with connected(patient, asking(customer).replace(b"HTTP/1.1", b"HTTP/1.0")) as client:
        call = await stage.next()
        await call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(b"half"))
        begin = await client.until(b"half")
        assert b"transfer-encoding" not in begin.lower()
        call.drop()
        with pytest.raises(ConnectionError):
            await client.exactly(100)


FRAMED_TWICE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nX-A: v\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX-A: v\r\n folded\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
]
TOO_LONG = [
    KEPT + b"x",
    KEPT + KEPT,
    b"HTTP/1.1 204 No Content\r\n\r\n" + KEPT,
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx",
]


@pytest.mark.parametrize("said", FRAMED_TWICE + TOO_LONG, ids=repr)
async def test_an_answer_that_can_be_read_in_two_ways_is_502_and_its_connection_dropped(
    patient: GatewayProcess, customer: Customer, stage: Stage, said: bytes
) -> None:
    async with connected(patient, asking(customer, "GET", CLOSE)) as client:
        call = await stage.next()
        await call.say(said)
        reply = await answer_to(client)
        assert (reply.status, reply.problem["code"]) == (502, "UPSTREAM_INVALID_RESPONSE")
        assert await call.rest() == b""


async def test_what_comes_after_an_answer_is_never_the_answer_to_another_request(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with connected(patient, asking(customer)) as client:
        call = await stage.next()
        await call.say(KEPT)
        assert (await client.until(b"ok")).startswith(b"HTTP/1.1 200 ")
        await call.say(KEPT.replace(b"ok", b"no"))
        assert await call.rest() == b""
        await client.say(asking(customer, "GET", CLOSE))
        await (await stage.next()).say(OK)
        assert (await answer_to(client)).body == b"ok"


async def second_call(client: Connection, stage: Stage, first: bytes, second: bytes) -> Connection:
    """The upstream's end of a connection that has served `first`, when the head of `second` has come on it too."""
    await client.say(first)
    call = await stage.next()
    await call.say(KEPT)
    await client.until(b"ok")
    await client.say(second)
    await call.until(END)
    return call


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("method", "fields", "body"),
    [("POST", (FIVE,), b"hello"), ("POST", (b"Content-Length: 0",), b""), ("PATCH", (CHUNKED,), b"1\r\na\r\n0\r\n\r\n")],
)
async def test_a_post_is_never_sent_again_once_bytes_of_it_were_sent(
    patient: GatewayProcess, customer: Customer, stage: Stage, method: str, fields: tuple[bytes, ...], body: bytes, reset: bool
) -> None:
    async with connected(patient) as client:
        call = await second_call(client, stage, asking(customer), asking(customer, method, *fields, CLOSE) + body)
        end(call, reset=reset)
        reply = await answer_to(client)
        assert (reply.status, reply.problem["code"]) == (502, "UPSTREAM_CLOSED")
        async with connected(patient, sign := asking(customer, "GET", CLOSE)) as other:
            # The next thing that the upstream is asked is something else.
            call = await stage.next()
            assert call.head.split(b" ")[1] == sign.split(b" ")[1]
            await call.say(OK)
            assert (await answer_to(other)).status == 200


async def test_a_get_is_sent_once_more_where_its_connection_had_been_used(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with connected(patient) as client:
        call = await second_call(client, stage, asking(customer), asking(customer, "GET", CLOSE))
        call.close()
        again = await stage.next()
        again.close()
        reply = await answer_to(client)
    assert (reply.status, reply.problem["code"]) == (502, "UPSTREAM_CLOSED")


async def test_a_post_goes_over_a_new_connection_where_the_kept_one_was_closed(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with connected(patient, asking(customer)) as client:
        call = await stage.next()
        await call.say(KEPT)
        await client.until(b"ok")
        call.close()
        assert await call.rest() == b""
        await client.say(asking(customer, "POST", FIVE, CLOSE) + b"hello")
        call = await stage.next()
        assert await call.exactly(5) == b"hello"
        await call.say(OK)
        assert (await answer_to(client)).status == 200
