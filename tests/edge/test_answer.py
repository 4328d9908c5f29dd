from __future__ import annotations

import asyncio
import json

from starlette.types import Message

from gateway.edge.answer import Answer
from gateway.edge.body import Body
from gateway.errors import RATE_LIMITED, Refused

ID = "0190-request"


class Client:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode().lower(), value.decode()) for name, value in self.messages[0]["headers"]]


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def answering(client: Client, length: int | None = 0, method: str = "GET") -> Answer:
    answer = Answer({"type": "http", "method": method}, client.send, ID)
    answer.request_body = Body(never, length, 1)
    return answer


async def test_ours_take_the_place_of_an_upstream_s_but_vary_adds_up_and_date_stays() -> None:
    client = Client()
    fields = [(b"vary", b"Accept"), (b"date", b"then"), (b"ratelimit", b"theirs"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    await answering(client).start(200, fields, {"Vary": "Origin", "RateLimit": "ours"})
    assert sorted(client.headers) == [
        ("date", "then"),
        ("ratelimit", "ours"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
        ("vary", "Accept, Origin"),
        ("x-request-id", ID),
    ]


async def test_an_answer_without_a_date_gets_one() -> None:
    client = Client()
    await answering(client).start(204, [], {})
    assert dict(client.headers)["date"].endswith("GMT")


async def test_a_refusal_is_a_problem_document() -> None:
    client = Client()
    refused = Refused(RATE_LIMITED, retry_after=0.2, headers=(("RateLimit", "x"),), members={"violated-policies": ["a"]})
    await answering(client).refuse(refused, {"X-Tenant-Id": "tnt_1"})
    headers = dict(client.headers)
    assert headers["content-type"] == "application/problem+json"
    assert headers["retry-after"] == "1"
    assert headers["x-tenant-id"] == "tnt_1"
    assert int(headers["content-length"]) == len(client.messages[1]["body"])
    document = json.loads(client.messages[1]["body"])
    assert document["code"] == "RATE_LIMITED"
    assert document["request_id"] == ID
    assert document["violated-policies"] == ["a"]


async def test_a_refusal_of_head_has_no_body() -> None:
    client = Client()
    await answering(client, method="HEAD").refuse(Refused(RATE_LIMITED), {})
    assert client.messages[1]["body"] == b""


async def test_an_answer_before_the_body_was_read_closes_the_connection() -> None:
    unread, read = Client(), Client()
    await answering(unread, length=5).start(200, [], {})
    await answering(read).start(200, [], {})
    assert dict(unread.headers)["connection"] == "close"
    assert "connection" not in dict(read.headers)
